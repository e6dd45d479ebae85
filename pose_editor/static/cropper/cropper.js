// What the model will see of a photo: a frame to move and resize over the whole photo. The value is
// { window: [left, top, share] } in fractions of the picture, which has the shape of the canvas, so the frame always has it too.

const dialog = element.querySelector(".cr-root");
const stage = element.querySelector(".cr-stage");
const picture = element.querySelector(".cr-photo");
const frame = element.querySelector(".cr-window");
const preview = element.querySelector(".cr-preview");
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let left = 0;
let top = 0;
let share = 1;
let drag = null; // { corner or null, from: [x, y], before: [left, top, share] }

const between = (number, low, high) => Math.min(Math.max(number, low), Math.max(high, low));

function draw() {
  Object.assign(frame.style, { left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * share}%`, height: `${100 * share}%` });
  preview.style.backgroundSize = `${100 / share}%`;
  const place = (at) => (share < 1 ? (100 * at) / (1 - share) : 0); // how CSS counts: 100% is flush with the far side
  preview.style.backgroundPosition = `${place(left)}% ${place(top)}%`;
}

function set(x, y, size) {
  share = between(size, props.least, 1);
  left = between(x, 0, 1 - share);
  top = between(y, 0, 1 - share);
  draw();
}

/** About its middle. */
const resize = (factor) => {
  const size = between(share * factor, props.least, 1);
  set(left + (share - size) / 2, top + (share - size) / 2, size);
};

const at = (event) => {
  const box = stage.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};

/** A corner follows the pointer, and the corner opposite stays where it is. */
function pull(corner, [x, y], [left, top, share]) {
  const west = corner.includes("w"),
    north = corner.includes("n");
  const still = [west ? left + share : left, north ? top + share : top];
  const room = Math.min(west ? still[0] : 1 - still[0], north ? still[1] : 1 - still[1]);
  const size = between(Math.max(west ? still[0] - x : x - still[0], north ? still[1] - y : y - still[1]), props.least, room);
  set(west ? still[0] - size : still[0], north ? still[1] - size : still[1], size);
}

stage.addEventListener("pointerdown", (event) => {
  if (event.button || drag || !frame.contains(event.target)) return;
  drag = { corner: event.target.dataset.corner, from: at(event), before: [left, top, share] };
  stage.setPointerCapture(event.pointerId);
  frame.focus({ preventScroll: true });
  event.preventDefault();
});
stage.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [x, y] = at(event),
    { corner, from, before } = drag;
  if (corner) pull(corner, [x, y], before);
  else set(before[0] + x - from[0], before[1] + y - from[1], share);
});
for (const end of ["pointerup", "pointercancel"])
  stage.addEventListener(end, () => {
    drag = null;
  });
stage.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    resize(Math.exp(event.deltaY / 500));
  },
  { passive: false },
);

frame.addEventListener("keydown", (event) => {
  const arrow = ARROWS[event.key],
    step = event.shiftKey ? 0.05 : 0.01;
  if (arrow) set(left + arrow[0] * step, top + arrow[1] * step, share);
  else if (event.key === "+" || event.key === "=") resize(1.05);
  else if (event.key === "-") resize(1 / 1.05);
  else return;
  event.preventDefault();
});

element.querySelector(".cr-cancel").addEventListener("click", () => dialog.close());
element.querySelector(".cr-done").addEventListener("click", () => {
  dialog.close();
  props.value = { window: [left, top, share] };
  trigger("crop");
});

/** Python sent the photo: open with what is shown now. */
function open() {
  if (!props.photo) return;
  picture.src = props.photo;
  preview.style.backgroundImage = `url("${props.photo}")`;
  set(...props.value.window);
  if (!dialog.open) dialog.showModal();
  frame.focus({ preventScroll: true });
}

watch(["photo", "value"], open);
