// The pose editor: draws the figure, turns pointer and key events into edits, keeps the history.
// Runs inside Gradio's gr.HTML with `element`, `props`, `trigger`, `watch` and `server`. One script in eight files, in this
// order: geometry.js, editor.js (state, drawing, edits), history.js, pointer.js, loupe.js, keys.js, panels.js (controls, files, start),
// taking.js.

const SVG = "http://www.w3.org/2000/svg";
const REACH = { mouse: 16, pen: 18, touch: 30 }; // screen pixels from a joint that still mean that joint
const PACE = 150; // ms between two finished changes that are sent
const SETTLE = 350; // ms of quiet after a nudge before it counts as finished

const stage = element.querySelector(".pe-stage");
const svg = element.querySelector(".pe-canvas");
const tip = element.querySelector(".pe-tip");
const status = element.querySelector(".pe-status");
const button = (name) => element.querySelector(`[data-do="${name}"]`);

let canvas = props.canvas;
let figure = props.figure;
let joints, rest; // the pose on screen; the pose Reset returns to
let edit = 0; // grows with every change, newest wins
let moving = false; // a pose on its way was told, and not yet the finished one
let selected = new Set(); // indices; most actions work on these, or on the whole figure when there are none
let near = -1; // the joint under the mouse
let mode = "free"; // what dragging one joint does: "free", "limb" (lengths locked) or "reach" (elbow or knee bends)
let several = false; // a press adds a joint to the selection, as it does with Shift
let drag = null; // what is being dragged, see pointer.js
let view = { zoom: 1, x: 0, y: 0 }; // part of the canvas on screen: its left upper corner, and how much larger it is shown
let frame = 0;
let settling = 0;
let sent = -PACE; // when the last finished change was sent
let due = 0; // timer of one that waits
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
  stage.style.aspectRatio = `${width} / ${height}`;
  const photo = make("image", { class: "pe-photo", x: 0, y: 0, width, height, preserveAspectRatio: "none" }, svg);
  const limbs = figure.limbs.map((_, index) => make("line", { class: "pe-limb", stroke: figure.colours[index] }, svg));
  const dots = figure.joints.map((name, index) => {
    const group = make(
      "g",
      { class: "pe-joint", tabindex: index ? -1 : 0, role: "button", "data-joint": index, "aria-roledescription": "joint" },
      svg,
    );
    make("circle", { class: "pe-hit" }, group);
    make("circle", { class: "pe-ring" }, group);
    make("circle", { class: "pe-dot", fill: figure.colours[index] }, group);
    group.addEventListener("focus", () => {
      for (const other of dots) other.setAttribute("tabindex", other === group ? 0 : -1); // one stop for Tab; arrow keys go on from it
      if (drag) return;
      held = -1;
      arrive(index);
    });
    group.addEventListener("keydown", (event) => onKey(event, index));
    return group;
  });
  const frame = make("rect", { class: "pe-frame" }, svg),
    lasso = make("rect", { class: "pe-lasso" }, svg);
  const handles = ["nw", "ne", "se", "sw", "turn"].map((name) => make("circle", { class: "pe-handle", "data-handle": name }, svg));
  nodes = { photo, limbs, dots, frame, lasso, handles };
}

/** Canvas pixels per screen pixel: dots and hit areas keep their size on screen whatever the stage's size. */
const grain = () => canvas[1] / view.zoom / (svg.getBoundingClientRect().width || canvas[1]);

/** The joints that an action is about. */
const indices = () => (selected.size ? [...selected] : figure.joints.map((_, index) => index));

/** The one selected joint, or -1. */
const single = () => (selected.size === 1 ? [...selected][0] : -1);

function resize() {
  svg.setAttribute("viewBox", `${view.x} ${view.y} ${canvas[1] / view.zoom} ${canvas[0] / view.zoom}`);
  svg.classList.toggle("pe-zoomed", view.zoom > 1);
  const unit = grain(),
    small = svg.getBoundingClientRect().width < 260;
  nodes.limbs.forEach((line) => line.setAttribute("stroke-width", (small ? 4 : 6) * unit));
  nodes.dots.forEach((group, index) => {
    const radius = (FACE.includes(index) ? 4.2 : 6.5) * (small ? 0.78 : 1) * unit;
    const [hit, ring, dot] = group.children;
    hit.setAttribute("r", (FACE.includes(index) ? 14 : 22) * unit);
    dot.setAttribute("r", radius);
    dot.setAttribute("stroke-width", 3 * unit);
    ring.setAttribute("r", radius + 4.5 * unit);
    ring.setAttribute("stroke-width", 2 * unit);
  });
  nodes.handles.forEach((handle) => handle.setAttribute("r", 6 * unit));
  // Whoever shows a picture below the joints: the left upper corner in shares of it, and how much larger it is shown.
  home.dispatchEvent(new CustomEvent("photo-moved", { detail: { zoom: view.zoom, x: view.x / canvas[1], y: view.y / canvas[0] } }));
}

function draw() {
  figure.limbs.forEach(([a, b], index) => {
    const line = nodes.limbs[index],
      shown = joints[a][2] && joints[b][2];
    line.style.display = shown ? "" : "none";
    if (!shown) return;
    const ends = { x1: joints[a][0], y1: joints[a][1], x2: joints[b][0], y2: joints[b][1] };
    for (const [key, value] of Object.entries(ends)) line.setAttribute(key, value);
  });
  nodes.dots.forEach((group, index) => {
    const [x, y, visible] = joints[index];
    for (const circle of group.children) {
      circle.setAttribute("cx", x);
      circle.setAttribute("cy", y);
    }
    group.classList.toggle("pe-hidden", !visible);
    group.classList.toggle("pe-selected", selected.has(index));
    group.classList.toggle("pe-held", index === held);
    if (several) group.setAttribute("aria-pressed", selected.has(index));
    else group.removeAttribute("aria-pressed");
    group.classList.toggle("pe-near", index === near || (drag?.kind === "joint" && drag.joint === index));
    group.setAttribute(
      "aria-label",
      `${figure.joints[index]}, ${visible ? `x ${Math.round(x)}, y ${Math.round(y)}` : "hidden"}${index === held ? ", held" : ""}`,
    );
  });
  drawFrame();
  drawTip();
  drawLoupe();
  drawBar();
}

/** Around several selected joints: a frame with handles to scale at the corners and to turn above. */
function drawFrame() {
  const box = selected.size > 1 && bounds(joints, [...selected]),
    { frame, lasso, handles } = nodes;
  for (const node of [frame, ...handles]) node.style.display = box ? "" : "none";
  lasso.style.display = drag?.kind === "lasso" ? "" : "none";
  if (!box) return;
  const [left, top, right, bottom] = padded(box);
  place(frame, { x: left, y: top, width: right - left, height: bottom - top });
  const spots = [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
    [(left + right) / 2, top],
  ];
  handles.forEach((handle, index) => place(handle, { cx: spots[index][0], cy: spots[index][1] }));
}

/** A little larger than the joints, but never off the canvas, where its handles could not be reached. */
function padded(box) {
  const pad = 14 * grain(),
    edge = 6 * grain();
  return [
    Math.max(box.left - pad, edge),
    Math.max(box.top - pad, edge),
    Math.min(box.right + pad, canvas[1] - edge),
    Math.min(box.bottom + pad, canvas[0] - edge),
  ];
}

function place(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
}

function drawTip() {
  const joint = drag ? (drag.joint ?? -1) : near;
  tip.hidden = joint < 0;
  if (joint < 0) return;
  const [x, y, visible] = joints[joint],
    left = (100 * (x - view.x) * view.zoom) / canvas[1],
    top = (100 * (y - view.y) * view.zoom) / canvas[0];
  tip.textContent = figure.joints[joint] + (visible ? "" : " (hidden)");
  tip.style.left = `${Math.min(Math.max(left, 16), 84)}%`; // kept inside the stage
  tip.style.top = `${top}%`;
  tip.classList.toggle("pe-below", top < 12);
}

function drawBar() {
  button("undo").disabled = !done.length;
  button("redo").disabled = !undone.length;
  button("reset").disabled = samePose(joints, rest);
  const hidden = selected.size && [...selected].every((index) => !joints[index][2]);
  button("hide").disabled = !selected.size;
  button("hide").textContent = hidden ? "Show" : "Hide";
  status.textContent = selectionText();
  drawTools();
}

function selectionText() {
  if (selected.size > 1) return selected.size === joints.length ? "whole figure" : `${selected.size} joints`;
  const index = single();
  if (index < 0) return "";
  const [x, y, visible] = joints[index];
  return `${figure.joints[index]} ${visible ? `${Math.round(x)}, ${Math.round(y)}` : "hidden"}`;
}

function select(chosen) {
  selected = new Set(chosen);
  draw();
}

/** The focus has come to a joint: it is selected and on screen, however large the view is. */
function arrive(index) {
  reveal(index);
  if (!several) select([index]);
}

function reveal(index) {
  const [x, y] = joints[index],
    width = canvas[1] / view.zoom,
    height = canvas[0] / view.zoom;
  if (x < view.x || y < view.y || x > view.x + width || y > view.y + height) pan(x - width / 2, y - height / 2);
}

/** By finger or keyboard there is no Shift to hold down. */
function toggleSeveral() {
  several = !several;
  svg.classList.toggle("pe-several", several);
  button("several").setAttribute("aria-pressed", several);
  draw();
}

// --- edits -----------------------------------------------------------------------------------------------------

/** The number of the newest change, also for whoever waits for its result. */
function count(number) {
  edit = number;
  element.querySelector(".pe-root").dataset.edit = edit;
}

/** Tell Python: `drag` while it moves, `release` when it is finished; `change` is only told with the next event. The pose travels in the
 * value. */
function publish(event) {
  count(edit + 1);
  moving = event === "drag";
  say("");
  props.value = { joints: copyPose(joints), edit, person: present.person };
  if (event !== "change") send(event);
}

/** Finished changes are sent at a pace that the server's queue can take, the newest in any case: Ctrl+Z held down makes dozens a second. */
function send(event) {
  clearTimeout(due);
  const early = event === "release" ? sent + PACE - performance.now() : 0;
  if (early > 0) {
    due = setTimeout(send, early, event);
    return;
  }
  trigger(event);
  if (event !== "release") return;
  sent = performance.now();
  home.dispatchEvent(new Event("pose-release", { bubbles: true })); // the tour stands outside
}

// Another part of the page wants the joints "shown", "aside" (faint, and not to be touched) or "hidden".
home.addEventListener("joints-shown", ({ detail }) => {
  stage.classList.toggle("pe-aside", detail !== "shown");
  stage.classList.toggle("pe-unseen", detail === "hidden");
});

// No result can be made for the pose that was sent last.
home.addEventListener("pose-refused", ({ detail }) => {
  if (detail.edit === edit) say(detail.says, true);
});

// Something else than the pose changed what is wanted: the pose is sent again, as a new edit.
home.addEventListener("pose-again", () => {
  if (!element.isConnected) return;
  remember();
  publish("release");
  draw();
});

/** One finished change from a button or a key. */
function change(next) {
  flushNudge();
  joints = next;
  say("");
  if (remember()) publish("release");
  draw();
}

/** Hide the joints, or show them again where all of them are hidden. */
function toggleHidden(chosen) {
  const show = chosen.every((index) => !joints[index][2]),
    next = copyPose(joints);
  for (const index of chosen) next[index] = show ? [...placeBack(next, index, figure, canvas), true] : [...next[index].slice(0, 2), false];
  change(next);
}

/** From behind: no face, and right and left on the other sides. Once more turns it around again. */
function turnBack() {
  const next = swapSides(joints, figure.joints),
    back = seenFromBehind();
  for (const index of FACE) next[index] = back ? [...placeBack(next, index, figure, canvas), true] : [...next[index].slice(0, 2), false];
  change(next);
}

const seenFromBehind = () => FACE.every((index) => !joints[index][2]);

/** The selection, or the whole figure, scaled or turned about its middle; nothing happens when it would leave the canvas. */
function transform(how, amount) {
  const box = bounds(joints, indices());
  if (!box) return;
  change(how(joints, indices(), [(box.left + box.right) / 2, (box.top + box.bottom) / 2], amount, canvas) ?? joints);
}

/** Zoom about a point of the canvas; 1 shows everything. */
function zoomTo(zoom, x = view.x + canvas[1] / view.zoom / 2, y = view.y + canvas[0] / view.zoom / 2) {
  const before = view.zoom;
  view.zoom = Math.min(Math.max(zoom, 1), 8);
  pan(x - ((x - view.x) * before) / view.zoom, y - ((y - view.y) * before) / view.zoom);
}

function pan(x, y) {
  view.x = Math.min(Math.max(x, 0), canvas[1] * (1 - 1 / view.zoom));
  view.y = Math.min(Math.max(y, 0), canvas[0] * (1 - 1 / view.zoom));
  resize();
  draw();
}

const DEGREE = Math.PI / 180;
const actions = {
  undo: () => travel(done, undone),
  redo: () => travel(undone, done),
  reset: () => change(copyPose(rest)),
  hide: () => selected.size && toggleHidden([...selected]),
  mirror: () => change(mirrorPose(joints, figure.joints)),
  back: turnBack,
  several: toggleSeveral,
  all: () => select(figure.joints.map((_, index) => index)),
  smaller: () => transform(scaled, 1 / 1.05),
  larger: () => transform(scaled, 1.05),
  left: () => transform(turned, -5 * DEGREE),
  right: () => transform(turned, 5 * DEGREE),
  zoomin: () => zoomTo(view.zoom * 1.5),
  zoomout: () => zoomTo(view.zoom / 1.5),
  fit: () => zoomTo(1),
};
