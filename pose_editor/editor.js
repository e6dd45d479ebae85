// The pose editor: draws the figure, turns pointer and key events into edits, keeps the history.
// Runs inside Gradio's gr.HTML with `element`, `props`, `trigger` and `watch`; geometry.js stands above it.

const SVG = "http://www.w3.org/2000/svg";
const HISTORY = 100;
const REACH = { mouse: 16, pen: 18, touch: 30 }; // screen pixels from a joint that still mean that joint
const SETTLE = 350; // ms of quiet after a nudge before it counts as finished
const FACE = new Set([0, 14, 15, 16, 17]);

const stage = element.querySelector(".pe-stage");
const svg = element.querySelector(".pe-canvas");
const tip = element.querySelector(".pe-tip");
const status = element.querySelector(".pe-status");
const button = (name) => element.querySelector(`[data-do="${name}"]`);

let canvas = props.canvas, figure = props.figure;
let joints, rest;               // the pose on screen; the pose Reset returns to
let undone = [], done = [];     // history: poses before and after the present one
let edit = 0;                   // grows with every change, newest wins
let selected = -1, near = -1;
let drag = null;                // { pointer, joint, dx, dy, before } while a joint is held
let frame = 0, settling = 0;
let nodes = null;

// --- drawing ---------------------------------------------------------------------------------------------------

function make(tag, attributes, parent) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.appendChild(node);
  return node;
}

function build() {
  svg.replaceChildren();
  const [height, width] = canvas;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  stage.style.aspectRatio = `${width} / ${height}`;
  const photo = make("image", { class: "pe-photo", x: 0, y: 0, width, height, preserveAspectRatio: "none" }, svg);
  const limbs = figure.limbs.map((_, index) => make("line", { class: "pe-limb", stroke: figure.colours[index] }, svg));
  const dots = figure.joints.map((name, index) => {
    const group = make("g", { class: "pe-joint", tabindex: 0, role: "button", "data-joint": index, "aria-roledescription": "joint" }, svg);
    make("circle", { class: "pe-hit" }, group);
    make("circle", { class: "pe-ring" }, group);
    make("circle", { class: "pe-dot", fill: figure.colours[index] }, group);
    group.addEventListener("focus", () => select(index));
    group.addEventListener("keydown", (event) => onKey(event, index));
    return group;
  });
  nodes = { photo, limbs, dots };
}

/** Canvas pixels per screen pixel: dots and hit areas keep their size on screen whatever the stage's size. */
const grain = () => canvas[1] / (svg.getBoundingClientRect().width || canvas[1]);

function resize() {
  const unit = grain(), small = svg.getBoundingClientRect().width < 260;
  nodes.limbs.forEach((line) => line.setAttribute("stroke-width", (small ? 4 : 6) * unit));
  nodes.dots.forEach((group, index) => {
    const radius = (FACE.has(index) ? 4.2 : 6.5) * (small ? 0.78 : 1) * unit;
    const [hit, ring, dot] = group.children;
    hit.setAttribute("r", (FACE.has(index) ? 14 : 22) * unit);
    dot.setAttribute("r", radius);
    dot.setAttribute("stroke-width", 3 * unit);
    ring.setAttribute("r", radius + 4.5 * unit);
    ring.setAttribute("stroke-width", 2 * unit);
  });
}

function draw() {
  figure.limbs.forEach(([a, b], index) => {
    const line = nodes.limbs[index], shown = joints[a][2] && joints[b][2];
    line.style.display = shown ? "" : "none";
    if (!shown) return;
    const ends = { x1: joints[a][0], y1: joints[a][1], x2: joints[b][0], y2: joints[b][1] };
    for (const [key, value] of Object.entries(ends)) line.setAttribute(key, value);
  });
  nodes.dots.forEach((group, index) => {
    const [x, y, visible] = joints[index];
    for (const circle of group.children) { circle.setAttribute("cx", x); circle.setAttribute("cy", y); }
    group.classList.toggle("pe-hidden", !visible);
    group.classList.toggle("pe-selected", index === selected);
    group.classList.toggle("pe-near", index === near || drag?.joint === index);
    group.setAttribute("aria-label", `${figure.joints[index]}, ${visible ? `x ${Math.round(x)}, y ${Math.round(y)}` : "hidden"}`);
  });
  drawTip();
  drawBar();
}

function drawTip() {
  const joint = drag ? drag.joint : near;
  tip.hidden = joint < 0;
  if (joint < 0) return;
  const [x, y, visible] = joints[joint], left = (100 * x) / canvas[1];
  tip.textContent = figure.joints[joint] + (visible ? "" : " (hidden)");
  tip.style.left = `${Math.min(Math.max(left, 16), 84)}%`; // kept inside the stage
  tip.style.top = `${(100 * y) / canvas[0]}%`;
  tip.classList.toggle("pe-below", y < 0.12 * canvas[0]);
}

function drawBar() {
  button("undo").disabled = !done.length;
  button("redo").disabled = !undone.length;
  button("reset").disabled = samePose(joints, rest);
  button("hide").disabled = selected < 0;
  button("hide").textContent = selected >= 0 && !joints[selected][2] ? "Show joint" : "Hide joint";
  status.textContent = selected < 0 ? "" : `${figure.joints[selected]} ${Math.round(joints[selected][0])}, ${Math.round(joints[selected][1])}`;
}

function select(index) {
  selected = index;
  draw();
}

// --- edits -----------------------------------------------------------------------------------------------------

/** Tell Python: `drag` while it moves, `release` when it is finished. The pose travels in the value. */
function publish(event) {
  edit += 1;
  props.value = { joints: copyPose(joints), edit };
  trigger(event);
}

function remember(before) {
  if (samePose(before, joints)) return false;
  done.push(before);
  if (done.length > HISTORY) done.shift();
  undone = [];
  return true;
}

/** One finished change from a button or a key. */
function change(next) {
  const before = joints;
  joints = next;
  if (remember(before)) publish("release");
  draw();
}

function travel(from, to) {
  if (!from.length) return;
  flushNudge();
  to.push(joints);
  joints = from.pop();
  publish("release");
  draw();
}

function toggleHidden(index) {
  const next = copyPose(joints);
  next[index][2] = !next[index][2];
  change(next);
}

const actions = {
  undo: () => travel(done, undone),
  redo: () => travel(undone, done),
  reset: () => change(copyPose(rest)),
  hide: () => selected >= 0 && toggleHidden(selected),
};

for (const name of Object.keys(actions)) button(name).addEventListener("click", actions[name]);

// --- pointer: mouse, touch and pen -----------------------------------------------------------------------------

function toCanvas(event) {
  const box = svg.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * canvas[1], ((event.clientY - box.top) / box.height) * canvas[0]];
}

function jointUnder(event) {
  const [x, y] = toCanvas(event);
  return nearestJoint(joints, x, y, (REACH[event.pointerType] ?? REACH.mouse) * grain());
}

svg.addEventListener("pointerdown", (event) => {
  if (drag || (event.pointerType === "mouse" && event.button !== 0)) return;
  const joint = jointUnder(event);
  if (joint < 0) return select(-1);
  event.preventDefault();
  flushNudge();
  const [x, y] = toCanvas(event);
  // Held where it was touched: the joint does not jump under the finger.
  drag = { pointer: event.pointerId, joint, dx: joints[joint][0] - x, dy: joints[joint][1] - y, before: joints };
  joints = copyPose(joints);
  svg.setPointerCapture(event.pointerId);
  stage.classList.add("pe-dragging");
  nodes.dots[joint].focus({ preventScroll: true });
  select(joint);
});

svg.addEventListener("pointermove", (event) => {
  if (!drag) return hover(event);
  if (event.pointerId !== drag.pointer) return;
  const [x, y] = toCanvas(event);
  const [left, top] = clampPoint(x + drag.dx, y + drag.dy, canvas);
  const row = joints[drag.joint];
  if (row[0] === left && row[1] === top) return;
  joints[drag.joint] = [left, top, true]; // a hidden joint that is dragged is wanted back
  if (!frame) frame = requestAnimationFrame(() => { frame = 0; draw(); if (drag) publish("drag"); });
});

function hover(event) {
  const joint = event.pointerType === "mouse" ? jointUnder(event) : -1;
  if (joint !== near) { near = joint; svg.style.cursor = near < 0 ? "" : "grab"; draw(); }
}

svg.addEventListener("pointerleave", () => { if (!drag && near >= 0) { near = -1; draw(); } });

function drop(keep) {
  if (!drag) return;
  const { before, pointer } = drag;
  drag = null;
  if (frame) { cancelAnimationFrame(frame); frame = 0; }
  if (svg.hasPointerCapture(pointer)) svg.releasePointerCapture(pointer);
  stage.classList.remove("pe-dragging");
  const moved = !samePose(before, joints);
  if (keep) remember(before); else joints = before;
  if (moved) publish("release");
  draw();
}

svg.addEventListener("pointerup", (event) => { if (event.pointerId === drag?.pointer) drop(true); });
svg.addEventListener("pointercancel", (event) => { if (event.pointerId === drag?.pointer) drop(false); });

// A finger on a joint must not scroll the page, whatever the browser makes of touch-action inside an SVG.
svg.addEventListener("touchmove", (event) => { if (drag) event.preventDefault(); }, { passive: false });

// --- keyboard --------------------------------------------------------------------------------------------------

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let nudged = null; // the pose before a run of nudges, which is one step of the history

function nudge(index, [dx, dy], far) {
  nudged ??= joints;
  joints = copyPose(joints);
  const step = far ? 10 : 1;
  const [x, y] = clampPoint(joints[index][0] + step * dx, joints[index][1] + step * dy, canvas);
  joints[index] = [x, y, true];
  publish("drag");
  clearTimeout(settling);
  settling = setTimeout(flushNudge, SETTLE);
  draw();
}

function flushNudge() {
  clearTimeout(settling);
  if (!nudged) return;
  const before = nudged;
  nudged = null;
  if (remember(before)) publish("release");
  drawBar();
}

function onKey(event, index) {
  if (event.key in ARROWS && !event.ctrlKey && !event.metaKey && !event.altKey) nudge(index, ARROWS[event.key], event.shiftKey);
  else if (event.key === "Delete" || event.key === "Backspace") toggleHidden(index);
  else if ((event.key === "Enter" || event.key === " ") && !joints[index][2]) toggleHidden(index);
  else if (event.key === "Escape" && drag) drop(false);
  else return;
  event.preventDefault();
}

element.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "z") event.shiftKey ? actions.redo() : actions.undo();
  else if (key === "y") actions.redo();
  else return;
  event.preventDefault();
});

// --- from Python -----------------------------------------------------------------------------------------------

/** Take over what Python set: another photo, another pose, another canvas. */
function adopt() {
  const rebuild = !nodes || !samePose(canvas, props.canvas);
  canvas = props.canvas;
  if (rebuild) build();
  if (props.photo) nodes.photo.setAttribute("href", props.photo); else nodes.photo.removeAttribute("href");
  rest = withPlaces(props.rest.joints, figure, canvas);
  joints = withPlaces(props.value.joints, figure, canvas);
  edit = Math.max(edit, props.value.edit ?? 0);
  done = samePose(joints, rest) ? [] : [copyPose(rest)];
  undone = [];
  nudged = drag = null;
  selected = near = -1;
  resize();
  draw();
}

watch(["value", "photo", "rest", "canvas"], adopt);
new ResizeObserver(() => nodes && resize()).observe(svg);
adopt();
