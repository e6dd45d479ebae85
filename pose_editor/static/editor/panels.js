// --- the panels below the stage: ready-made poses, tools, files ---------------------------------------------------

const panels = [...element.querySelectorAll("[data-panel]")];
const panel = (name) => panels.find((each) => each.dataset.panel === name);
const message = element.querySelector(".pe-message");
const [fieldX, fieldY] = element.querySelectorAll(".pe-tools input[type=number]");
const modes = [...element.querySelectorAll("[data-mode]")];
const pasteBox = element.querySelector(".pe-pastebox");
const filePicker = element.querySelector(".pe-file");

/** Open one panel, or none; the buttons say which. */
function open(name) {
  for (const each of panels) each.hidden = each.dataset.panel !== name;
  for (const each of element.querySelectorAll("[data-open]")) each.setAttribute("aria-expanded", each.dataset.open === name);
}

for (const each of element.querySelectorAll("[data-open]")) {
  each.addEventListener("click", () => open(each.getAttribute("aria-expanded") === "true" ? null : each.dataset.open));
}

document.addEventListener("keydown", (event) => {
  const shown = panels.find((each) => !each.hidden);
  if (event.key !== "Escape" || !shown?.offsetParent || document.querySelector("dialog[open]")) return;
  open(null);
  element.querySelector(`[data-open="${shown.dataset.panel}"]`)?.focus();
});

/** One line below the buttons; it goes away with the next change. */
function say(text, wrong = false) {
  message.textContent = text;
  message.hidden = !text;
  message.classList.toggle("pe-error", wrong);
}

/** Small drawings to choose from. */
function fillThumbs(name, items, choose) {
  panel(name)
    .querySelector(".pe-thumbs")
    .replaceChildren(
      ...items.map((item, index) => {
        const each = Object.assign(document.createElement("button"), { type: "button" });
        each.append(drawing(item.joints, item.size), item.name);
        each.addEventListener("click", () => choose(item, index));
        return each;
      }),
    );
}

function drawing(joints, [height, width]) {
  const picture = document.createElementNS(SVG, "svg"),
    unit = height / 64;
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  figure.limbs.forEach(([a, b], index) => {
    if (index > 12 || !joints[a][2] || !joints[b][2]) return; // eyes and ears would be a blot at this size
    const line = make("line", { x1: joints[a][0], y1: joints[a][1], x2: joints[b][0], y2: joints[b][1] }, picture);
    line.style.stroke = figure.colours[index];
    line.style.strokeWidth = 2.6 * unit;
  });
  const head = joints[0][2] ? joints[0] : [joints[1][0], joints[1][1] - 6 * unit]; // from behind there is no nose
  make("circle", { cx: head[0], cy: head[1] - unit, r: 3.4 * unit }, picture);
  return picture;
}

const ask = (what, request) => server[what]({ ...request, canvas });

async function usePreset({ name }) {
  const answer = await ask("preset_pose", { name, joints: rest }); // from the photo's pose: foreshortening must not add up
  if (answer.error) return say(answer.error, true);
  usePose(answer.joints);
}

function usePose(rows) {
  selected = new Set();
  change(withPlaces(rows, figure, canvas));
}

async function readText(text) {
  const answer = await ask("read_pose", { text });
  if (answer.error) return say(answer.error, true);
  const notes = answer.notes.map((note) => note[0].toUpperCase() + note.slice(1) + ".").join(" ");
  if (answer.people.length === 1) usePose(answer.people[0]);
  else
    choosePerson(answer.people, (rows) => {
      usePose(rows);
      open("tools");
      say(notes);
    });
  say(notes);
}

/** Which of several poses is meant. */
function choosePerson(people, choose) {
  const items = people.map((rows, index) => ({ name: `person ${index + 1}`, joints: rows, size: canvas }));
  fillThumbs("people", items, (person) => choose(person.joints));
  open("people");
}

function readFile(file) {
  if (file.size > 1e6) return say(`${file.name}: a pose file is at most 1 MB.`, true);
  file.arrayBuffer().then((buffer) => readText(decodeText(new Uint8Array(buffer))));
}

/** The text of a file in UTF-8 or, as some Windows tools write it, UTF-16. */
function decodeText(bytes) {
  const littleEndian = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] !== 0 && bytes[1] === 0);
  const bigEndian = (bytes[0] === 0xfe && bytes[1] === 0xff) || (bytes[0] === 0 && bytes[1] !== 0);
  return new TextDecoder(littleEndian ? "utf-16le" : bigEndian ? "utf-16be" : "utf-8").decode(bytes);
}

async function saveAs(kind) {
  const answer = await ask("write_pose", { kind, joints });
  if (answer.error) return say(answer.error, true);
  Object.assign(document.createElement("a"), { href: answer.url, download: answer.name }).click();
}

function setMode(name) {
  mode = name;
  if (selected.size > 1) select([]); // what is wanted now is about one joint
  for (const each of modes) {
    each.setAttribute("aria-checked", each.dataset.mode === mode);
    each.tabIndex = each.dataset.mode === mode ? 0 : -1;
  }
}

modes.forEach((each, index) => {
  each.addEventListener("click", () => setMode(each.dataset.mode));
  each.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = modes[(index + step + modes.length) % modes.length];
    setMode(next.dataset.mode);
    next.focus();
    event.preventDefault();
  });
});

Object.assign(actions, {
  open: () => filePicker.click(),
  paste: () => {
    pasteBox.hidden = !pasteBox.hidden;
    button("paste").setAttribute("aria-expanded", !pasteBox.hidden);
    if (!pasteBox.hidden) pasteBox.querySelector("textarea").focus();
  },
  use: () => readText(pasteBox.querySelector("textarea").value),
});

for (const name of Object.keys(actions)) button(name).addEventListener("click", actions[name]);
filePicker.addEventListener("change", () => {
  if (filePicker.files[0]) readFile(filePicker.files[0]);
  filePicker.value = "";
});
element.querySelector(".pe-save").addEventListener("change", (event) => {
  saveAs(event.target.value);
  event.target.value = "";
});
element.querySelector(".pe-opacity").addEventListener("input", (event) => {
  nodes.photo.style.opacity = event.target.value / 100;
});
for (const field of [fieldX, fieldY]) field.addEventListener("change", typePlace);

function typePlace() {
  const index = single(),
    next = copyPose(joints),
    x = fieldX.valueAsNumber,
    y = fieldY.valueAsNumber;
  if (index < 0 || Number.isNaN(x) || Number.isNaN(y)) return drawTools();
  next[index] = [...clampPoint(x, y, canvas), true];
  change(next);
}

function drawTools() {
  const index = single(),
    shown = index >= 0 && joints[index][2];
  for (const [field, axis] of [
    [fieldX, 0],
    [fieldY, 1],
  ]) {
    field.disabled = index < 0;
    field.max = canvas[1 - axis];
    if (document.activeElement !== field || !shown) field.value = shown ? Math.round(10 * joints[index][axis]) / 10 : "";
  }
  element.querySelector(".pe-whom").textContent =
    selected.size > 1 && selected.size < joints.length ? `${selected.size} dots` : index >= 0 ? figure.joints[index] : "All";
  for (const name of ["smaller", "larger", "left", "right"]) button(name).disabled = selected.size === 1;
  button("back").setAttribute("aria-pressed", seenFromBehind());
  button("zoomout").disabled = button("fit").disabled = view.zoom === 1;
}

// Ctrl+V anywhere outside a field: if it is a pose, use it.
document.addEventListener("paste", (event) => {
  if (!stage.offsetParent || event.target.closest?.("input, textarea, [contenteditable]")) return;
  const file = [...(event.clipboardData?.files ?? [])].find((each) => /json|text/.test(each.type)),
    text = event.clipboardData?.getData("text") ?? "";
  if (file) readFile(file);
  else if (text.includes("keypoints") || /^[[{\d-]/.test(text.trim())) readText(text);
});

home.addEventListener("pose-file", ({ detail }) => detail && readFile(detail)); // dropped on the page

// --- from Python -----------------------------------------------------------------------------------------------

/** Take over what Python set: another photo, another pose, another canvas. */
function adopt() {
  const rebuild = !nodes || !samePose(canvas, props.canvas);
  canvas = props.canvas;
  if (rebuild) {
    build();
    fillThumbs(
      "poses",
      figure.presets.map((preset) => ({ ...preset, size: [64, 44] })),
      usePreset,
    );
  }
  if (props.photo) nodes.photo.setAttribute("href", props.photo);
  else nodes.photo.removeAttribute("href");
  rest = withPlaces(props.rest.joints, figure, canvas);
  joints = withPlaces(props.value.joints, figure, canvas);
  count(Math.max(edit, props.value.edit ?? 0));
  moving = false;
  clearTimeout(due);
  nudged = false;
  drag = null;
  rememberAnswer();
  selected = new Set();
  near = -1;
  view = { zoom: 1, x: 0, y: 0 };
  say("");
  resize();
  draw();
}

// One answer of Python's sets several of them, one after the other.
let adopting = false;
watch(["value", "photo", "person", "rest", "canvas"], () => {
  if (!adopting)
    queueMicrotask(() => {
      adopting = false;
      adopt();
    });
  adopting = true;
});
new ResizeObserver(() => nodes && resize()).observe(svg);
adopt();
