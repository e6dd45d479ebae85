// --- keyboard --------------------------------------------------------------------------------------------------

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = { "[": "left", "]": "right", "+": "larger", "=": "larger", "-": "smaller", 0: "fit" };
let held = -1; // the joint that arrow keys move; else they go to the next joint
let nudged = false; // in a run of nudges, which is one step of the history

function nudge(index, [dx, dy], far) {
  const step = far ? 10 : 1,
    group = [...selected];
  const next =
    group.length > 1
      ? moved(joints, group, step * dx, step * dy, canvas)
      : movedJoint(joints, index, joints[index][0] + step * dx, joints[index][1] + step * dy);
  if (!next || samePose(next, joints)) return;
  nudged = true;
  joints = next;
  reveal(index);
  publish("drag");
  clearTimeout(settling);
  settling = setTimeout(flushNudge, SETTLE);
  draw();
}

/** The focus goes to the nearest joint that lies in a direction rather than beside it. */
function go(index, [dx, dy]) {
  const [x, y] = joints[index];
  const far = joints.map(([jx, jy, seen], other) => {
    const along = (jx - x) * dx + (jy - y) * dy,
      beside = Math.abs((jx - x) * dy) + Math.abs((jy - y) * dx);
    return other !== index && seen && along > 0 && along >= beside / 2 ? along + 2 * beside : Infinity;
  });
  const next = far.indexOf(Math.min(...far));
  if (far[next] < Infinity) nodes.dots[next].focus({ preventScroll: true });
}

function flushNudge() {
  clearTimeout(settling);
  if (!nudged) return;
  nudged = false;
  if (remember() || moving) publish("release"); // also there and back again: the preview must not stay
  drawBar();
}

function onKey(event, index) {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const chosen = selected.size ? [...selected] : [index];
  if (event.key in ARROWS && plain) (held === index || selected.size > 1 ? nudge : go)(index, ARROWS[event.key], event.shiftKey);
  else if (event.key in KEYS && plain) actions[KEYS[event.key]]();
  else if (event.key === "Delete" || event.key === "Backspace") toggleHidden(chosen);
  else if ((event.key === "Enter" || event.key === " ") && several) {
    hold(index, true);
    draw();
  } else if ((event.key === "Enter" || event.key === " ") && !joints[index][2]) toggleHidden([index]);
  else if (event.key === "Enter" || event.key === " ") {
    held = held === index ? -1 : index;
    draw();
  } else if (event.key === "Escape") {
    if (drag) drop(false);
    else {
      held = -1;
      select(several ? [] : [index]);
    }
  } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) actions.all();
  else return;
  event.preventDefault();
}
