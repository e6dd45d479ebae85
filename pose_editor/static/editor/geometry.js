// Pure functions on a pose: an array of 18 [x, y, visible] rows in canvas pixels. Nothing here touches the page.

const NECK = 1;
const HIPS = [8, 11];

const copyPose = (joints) => joints.map((row) => row.slice());

const samePose = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** To two decimals: finer than a finger, and short in files and links. */
const tidy = (number) => Math.round(number * 100) / 100;

const clampPoint = (x, y, [height, width]) => [tidy(Math.min(Math.max(x, 0), width)), tidy(Math.min(Math.max(y, 0), height))];

/** Index of the joint nearest to (x, y) within `reach`, or -1. A visible joint wins over a hidden one in reach. */
function nearestJoint(joints, x, y, reach) {
  let best = -1,
    least = Infinity;
  joints.forEach(([jx, jy, visible], index) => {
    const distance = Math.hypot(jx - x, jy - y);
    const weighted = visible ? distance : distance + reach / 2;
    if (distance <= reach && weighted < least) {
      best = index;
      least = weighted;
    }
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

// --- whole figures and parts of them -----------------------------------------------------------------------------

const FACE = [0, 14, 15, 16, 17];
const CHAINS = { 4: [2, 3], 7: [5, 6], 10: [8, 9], 13: [11, 12] }; // wrist or ankle: what it bends from

/** Right and left joints, pair by pair, found by their names. */
const sidePairs = (names) =>
  names.flatMap((name, index) => {
    const other = name.startsWith("right ") ? names.indexOf(name.replace("right", "left")) : -1;
    return other < 0 ? [] : [[index, other]];
  });

/** Right and left change their names, and nothing moves. */
function swapSides(joints, names) {
  const next = copyPose(joints);
  for (const [right, left] of sidePairs(names)) [next[right], next[left]] = [next[left], next[right]];
  return next;
}

/** Left, top, right and bottom of the visible joints among `indices`, or null. */
function bounds(joints, indices) {
  const seen = indices.map((index) => joints[index]).filter((row) => row[2]);
  if (!seen.length) return null;
  const xs = seen.map((row) => row[0]),
    ys = seen.map((row) => row[1]);
  return { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
}

/** The figure in a mirror, on the spot: right and left keep their meaning. */
function mirrorPose(joints, names) {
  const box = bounds(
    joints,
    names.map((_, index) => index),
  );
  if (!box) return joints;
  return swapSides(
    joints.map(([x, y, visible]) => [tidy(box.left + box.right - x), y, visible]),
    names,
  );
}

/** `index` and everything that hangs from it. */
function branch(index, parents) {
  const found = [index];
  for (const joint of found)
    parents.forEach((parent, child) => {
      if (parent === joint) found.push(child);
    });
  return found;
}

/** Rows `indices` of the pose sent through `map([x, y]) -> [x, y]`; null when a visible one would leave the canvas. */
function mapped(joints, indices, map, [height, width]) {
  const next = copyPose(joints);
  for (const index of indices) {
    const [x, y] = map(joints[index]);
    if (joints[index][2] && (x < -1e-6 || y < -1e-6 || x > width + 1e-6 || y > height + 1e-6)) return null;
    next[index] = [...clampPoint(x, y, [height, width]), joints[index][2]];
  }
  return next;
}

/** Rows `indices` moved together, as far as the canvas lets them. */
function moved(joints, indices, dx, dy, canvas) {
  const box = bounds(joints, indices);
  if (!box) return joints;
  const x = Math.min(Math.max(dx, -box.left), canvas[1] - box.right),
    y = Math.min(Math.max(dy, -box.top), canvas[0] - box.bottom);
  return mapped(joints, indices, (row) => [row[0] + x, row[1] + y], canvas) ?? joints;
}

function turned(joints, indices, [cx, cy], angle, canvas) {
  const cos = Math.cos(angle),
    sin = Math.sin(angle);
  return mapped(joints, indices, ([x, y]) => [cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos], canvas);
}

const scaled = (joints, indices, [cx, cy], factor, canvas) =>
  mapped(joints, indices, ([x, y]) => [cx + (x - cx) * factor, cy + (y - cy) * factor], canvas);

/** Limb lengths locked: the joint turns about what it hangs from, and takes along what hangs from it. Null off the canvas. */
function turnLimb(joints, index, x, y, figure, canvas) {
  const parent = figure.parents[index];
  if (parent === null)
    return moved(
      joints,
      joints.map((_, each) => each),
      x - joints[index][0],
      y - joints[index][1],
      canvas,
    );
  const [px, py, seen] = joints[parent];
  if (!seen) return null;
  const angle = Math.atan2(y - py, x - px) - Math.atan2(joints[index][1] - py, joints[index][0] - px);
  return turned(joints, branch(index, figure.parents), [px, py], angle, canvas);
}

/** A wrist or an ankle pulled to (x, y): elbow or knee bends the way it was bent, both bones keep their length. */
function reach(joints, index, x, y, canvas) {
  const [root, middle] = CHAINS[index].map((each) => joints[each]),
    end = joints[index];
  if (!root[2] || !middle[2]) return null;
  const upper = Math.hypot(middle[0] - root[0], middle[1] - root[1]),
    lower = Math.hypot(end[0] - middle[0], end[1] - middle[1]);
  const away = Math.hypot(x - root[0], y - root[1]) || 1e-6;
  const length = Math.min(Math.max(away, Math.abs(upper - lower) + 1e-3), upper + lower - 1e-3);
  const direction = [(x - root[0]) / away, (y - root[1]) / away];
  const bend = (end[0] - root[0]) * (middle[1] - root[1]) - (end[1] - root[1]) * (middle[0] - root[0]) < 0 ? -1 : 1;
  const along = (length * length + upper * upper - lower * lower) / (2 * length || 1e-6);
  const aside = bend * Math.sqrt(Math.max(upper * upper - along * along, 0));
  const places = {
    [CHAINS[index][1]]: [root[0] + direction[0] * along - direction[1] * aside, root[1] + direction[1] * along + direction[0] * aside],
    [index]: [root[0] + direction[0] * length, root[1] + direction[1] * length],
  };
  return mapped(joints, Object.keys(places).map(Number), (row) => places[joints.indexOf(row)], canvas);
}

/** Where a hidden joint comes back: where it was, unless the body has moved away from there meanwhile. */
function placeBack(joints, index, figure, canvas) {
  const parent = figure.parents[index],
    place = likelyPlace(joints, index, figure, canvas);
  if (parent === null || !joints[parent][2]) return joints[index][0] >= 0 ? joints[index].slice(0, 2) : place;
  const [px, py] = joints[parent],
    usual = Math.hypot(place[0] - px, place[1] - py);
  const stored = Math.hypot(joints[index][0] - px, joints[index][1] - py);
  return stored < 0.2 * usual || stored > 1.8 * usual ? place : joints[index].slice(0, 2);
}
