// --- history: one for everything that is chosen on a tab --------------------------------------------------------------
// A moment is { joints, person, photo } and what other components add to it on the event "moment": garments, the seed. Going back to
// one, they take it over on the event "moment-recalled". A moment of a photo that is gone or shown otherwise is passed over: whoever
// shows the people says so by cancelling "moment-recalling".

const HISTORY = 100;
let present; // the newest finished moment
let done = []; // the moments before it, oldest first
let undone = []; // those that were taken back, newest last
let restoring = false; // what Python sends next is where the visitor left off, and not a change
let recalled = null; // the person that a moment wanted, until Python has answered

const tell = (name, detail) => home.dispatchEvent(new CustomEvent(name, { detail, cancelable: true }));

function moment() {
  const detail = { joints: copyPose(joints), person: props.person, photo: props.photo };
  tell("moment", detail);
  return detail;
}

const sameMoment = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** Whether anything has changed since the newest moment, which then is one to go back to. */
function remember() {
  const now = moment();
  if (sameMoment(now, present)) return false;
  done.push(present);
  if (done.length > HISTORY) done.shift();
  undone = [];
  present = now;
  return true;
}

function forgetHistory() {
  present = moment();
  done = samePose(joints, rest) ? [] : [{ ...present, joints: copyPose(rest) }];
  undone = [];
}

function travel(from, to) {
  flushNudge();
  while (from.length && !tell("moment-recalling", from.at(-1))) from.pop();
  if (!from.length) return draw();
  to.push(present);
  present = from.pop();
  joints = copyPose(present.joints);
  tell("moment-recalled", present);
  if (present.person === props.person) publish("release");
  else {
    recalled = present.person;
    publish("change"); // the picker asks Python for the person, and for the result with it
  }
  draw();
}

/** Python shows another photo or another pose: an answer to what the visitor did, an answer to a recall, or the state to start from. */
function rememberAnswer() {
  if (present) tell("result-awaited");
  if (!present || restoring) forgetHistory();
  else if (recalled !== null && recalled === props.person) {
    const asked = samePose(joints, present.joints);
    joints = copyPose(present.joints);
    present = moment();
    if (!asked) publish("release"); // the visitor has gone on since
  } else remember();
  recalled = null;
  if (restoring) tell("moment-restored");
  restoring = false;
}

home.addEventListener("moment-restoring", () => (restoring = true));

// A component that adds to moments is there only now.
home.addEventListener("moment-joined", () => {
  if (present && !done.length) present = moment();
});

document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || !stage.offsetParent || document.querySelector("dialog[open]")) return;
  if (event.target.matches?.("input:not([type=range], [type=radio], [type=checkbox]), textarea, [contenteditable]")) return; // has its own
  const key = event.key.toLowerCase();
  if (key === "z") event.shiftKey ? actions.redo() : actions.undo();
  else if (key === "y") actions.redo();
  else return;
  event.preventDefault();
});
