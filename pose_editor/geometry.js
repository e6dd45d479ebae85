// Pure functions on a pose: an array of 18 [x, y, visible] rows in canvas pixels. Nothing here touches the page.

const NECK = 1, HIPS = [8, 11];

const copyPose = (joints) => joints.map((row) => row.slice());

const samePose = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** To two decimals: finer than a finger, and short in files and links. */
const tidy = (number) => Math.round(number * 100) / 100;

const clampPoint = (x, y, [height, width]) => [tidy(Math.min(Math.max(x, 0), width)), tidy(Math.min(Math.max(y, 0), height))];

/** Index of the joint nearest to (x, y) within `reach`, or -1. A visible joint wins over a hidden one in reach. */
function nearestJoint(joints, x, y, reach) {
  let best = -1, least = Infinity;
  joints.forEach(([jx, jy, visible], index) => {
    const distance = Math.hypot(jx - x, jy - y);
    const weighted = visible ? distance : distance + reach / 2;
    if (distance <= reach && weighted < least) { best = index; least = weighted; }
  });
  return best;
}

/** How large this person is next to the unit figure: by neck to hips where both are seen, else by the canvas. */
function bodyScale(joints, standing, canvas) {
  const hip = HIPS.find((index) => joints[index][2]);
  if (hip === undefined || !joints[NECK][2]) return 0.92 * canvas[0];
  const ours = Math.hypot(joints[hip][0] - joints[NECK][0], joints[hip][1] - joints[NECK][1]);
  const unit = Math.hypot(standing[hip][0] - standing[NECK][0], standing[hip][1] - standing[NECK][1]);
  return Math.max(ours / unit, 0.2 * canvas[0]);
}

/** A likely place for a joint nobody has seen: where a standing figure has it, hung from the nearest visible ancestor. */
function likelyPlace(joints, index, figure, canvas) {
  const scale = bodyScale(joints, figure.standing, canvas);
  let anchor = figure.parents[index];
  while (anchor !== null && !joints[anchor][2]) anchor = figure.parents[anchor];
  if (anchor === null) anchor = joints.findIndex((row) => row[2]);
  const from = anchor < 0 ? [canvas[1] / 2, 0.04 * canvas[0]] : joints[anchor];
  const base = anchor < 0 ? [0, 0] : figure.standing[anchor];
  const unit = figure.standing[index];
  return clampPoint(from[0] + (unit[0] - base[0]) * scale, from[1] + (unit[1] - base[1]) * scale, canvas);
}

/** The pose with every unseen joint (stored as -1, -1) given a likely place, so that it can be shown and restored. */
function withPlaces(joints, figure, canvas) {
  return joints.map((row, index) => {
    if (row[2] || row[0] >= 0) return row.slice();
    return [...likelyPlace(joints, index, figure, canvas), false];
  });
}
