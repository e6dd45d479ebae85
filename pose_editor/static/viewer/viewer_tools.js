// --- ways to look at the result: the photo beside it, wipe against the photo, pixel lens, joints, arrow keys ---------

const stage = root.querySelector(".sv-stage");
const source = root.querySelector(".sv-source");
const wipe = root.querySelector(".sv-wipe");
const inset = root.querySelector(".sv-inset");
const other = root.querySelector(".sv-other");
const see = (name) => root.querySelector(`[data-see="${name}"]`);
const pressed = (name) => see(name).getAttribute("aria-pressed") === "true";

const POINTING = ["wipe", "lens", "trace"]; // each wants the pointer for itself, so the joints step back

for (const name of ["joints", ...POINTING]) {
  see(name).addEventListener("click", () => {
    see(name).setAttribute("aria-pressed", !pressed(name));
    if (POINTING.includes(name) && pressed(name))
      for (const each of POINTING) if (each !== name) see(each).setAttribute("aria-pressed", false);
    drawWays();
  });
}

function drawWays() {
  root.classList.toggle("sv-wiping", pressed("wipe"));
  root.classList.toggle("sv-lensing", pressed("lens"));
  wipe.hidden = !pressed("wipe");
  source.hidden = !pressed("wipe") && !photoInFront();
  root.classList.toggle("sv-trace", pressed("trace"));
  tracing.hidden = !pressed("trace");
  if (!pressed("trace")) showTrace(null);
  const joints = !pressed("joints") || pressed("wipe") || pressed("lens") ? "hidden" : pressed("trace") ? "aside" : "shown";
  home.dispatchEvent(new CustomEvent("joints-shown", { detail: joints }));
  draw();
}

// --- the photo, small beside the result, or in front with the result small beside it ------------------------------

const photoInFront = () => inset.getAttribute("aria-pressed") === "true";

inset.addEventListener("click", () => {
  inset.setAttribute("aria-pressed", !photoInFront());
  drawWays();
});

function drawInset() {
  const small = photoInFront() ? onTop : props.source;
  inset.hidden = !props.source;
  root.classList.toggle("sv-swapped", photoInFront());
  if (small && other.getAttribute("src") !== small) other.src = small;
  const name = photoInFront() ? "Result" : props.inset;
  inset.querySelector(".sv-inset-name").textContent = name;
  inset.title = photoInFront() ? "Bring the result to the front" : `Bring ${props.against} to the front`;
  inset.setAttribute("aria-label", `${name}: ${inset.title.toLowerCase()}`);
}

/** The editor's view: the result is shown as large as the joints over it. */
home.addEventListener("photo-moved", ({ detail }) => {
  if (detail) root.style.setProperty("--view", `scale(${detail.zoom}) translate(${-100 * detail.x}%, ${-100 * detail.y}%)`);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "s" || event.ctrlKey || event.metaKey || event.altKey || !stage.offsetParent) return;
  if (!event.target.matches?.("input:not([type=range]), textarea, select, [contenteditable]")) see("joints").click();
});

// --- the newest result with more pixels, for the lens -------------------------------------------------------------

let askedFor = null; // the edit that it was last asked for

/** URL of the whole result in the photo's own detail, where the lens is on it and the server has answered; asks for it where not. */
function sharp() {
  if (!pressed("lens") || preview || shown() < last || fresh <= last) return null;
  if (props.zoomed?.edit === edit) return props.zoomed.url;
  if (askedFor !== edit) trigger("zoom");
  askedFor = edit;
  return null;
}

watch("zoomed", draw);

// --- where does this come from? ---------------------------------------------------------------------------------

const tracing = root.querySelector(".sv-tracing");
const level = root.querySelector(".sv-level");
const labels = root.querySelector(".sv-labels");
const showLabels = root.querySelector(".sv-show");
const cross = root.querySelector(".sv-cross");
const glow = root.querySelector(".sv-glow");
let traced = null; // the answer to the last click: { glow, labels, everywhere, place }
const line = document.createElementNS("http://www.w3.org/2000/svg", "svg"); // from the result to the place in the photo
line.classList.add("sv-line");
line.setAttribute("aria-hidden", true);
line.setAttribute("hidden", "");
line.append(...[1, 2].map(() => document.createElementNS("http://www.w3.org/2000/svg", "line"))); // a dark one below, to stand out on anything
const ground = home.body ?? home;
ground.append(line);
let asked = [88, 100];

level.replaceChildren(...props.levels.map(([height, width], index) => new Option(`${height}x${width}`, index)));
level.value = Math.min(1, props.levels.length - 1); // fine enough to see garments, coarse enough to be clear

function ask() {
  const [height, width] = props.sizes[last];
  cross.style.setProperty("--cross-x", `${(100 * asked[0]) / width}%`);
  cross.style.setProperty("--cross-y", `${(100 * asked[1]) / height}%`);
  trigger("trace", { x: asked[0], y: asked[1], step: Math.max(shown(), 1), level: Number(level.value) });
}

function showTrace(answer) {
  traced = answer;
  labels.hidden = !answer || !showLabels.checked;
  cross.hidden = !answer;
  if (answer) labels.src = answer.labels;
  tracing.querySelector("span").textContent = answer?.everywhere ? "From all over the photo." : "Click the result."; // a level that does not choose
  glow.hidden = !answer;
  if (answer) glow.src = answer.glow;
  drawLine();
}

/** From the result to the small photo, where the pixel is the photo's own. */
function drawLine() {
  const place = traced?.place && !inset.hidden ? traced.place : null;
  line.toggleAttribute("hidden", !place);
  if (!place) return;
  const origin = ground.getBoundingClientRect(),
    [height, width] = props.sizes[last];
  const end = (box, [x, y]) => [box.left + (x / width) * box.width - origin.left, box.top + (y / height) * box.height - origin.top];
  const [[x1, y1], [x2, y2]] = [end(stage.getBoundingClientRect(), asked), end(other.getBoundingClientRect(), place)];
  for (const each of line.children) for (const [key, value] of Object.entries({ x1, y1, x2, y2 })) each.setAttribute(key, value);
}
for (const each of [stage, other, ground]) new ResizeObserver(drawLine).observe(each); // they move what the line connects

stage.addEventListener("click", (event) => {
  if (!pressed("trace") || event.target.closest(".sv-tracing")) return;
  const box = stage.getBoundingClientRect(),
    [height, width] = props.sizes[last];
  asked = [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  ask();
});
level.addEventListener("change", ask);
showLabels.addEventListener("change", () => (traced ? showTrace(traced) : ask()));
watch("traced", () => {
  if (pressed("trace") && props.traced?.edit === edit && !preview) showTrace(props.traced);
});

function drawSource() {
  if (props.source) source.src = props.source;
  inset.setAttribute("aria-pressed", props.front === "photo");
  drawWays();
  see("wipe").disabled = !props.source;
  see("wipe").title = `Compare with ${props.against}`;
}

wipe.addEventListener("input", () => stage.style.setProperty("--wipe", `${wipe.value}%`));

stage.addEventListener("pointermove", (event) => {
  if (!pressed("lens")) return;
  const box = stage.getBoundingClientRect();
  stage.style.setProperty("--at-x", `${(100 * (event.clientX - box.left)) / box.width}%`);
  stage.style.setProperty("--at-y", `${(100 * (event.clientY - box.top)) / box.height}%`);
});

stage.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || event.target !== stage) return;
  stop();
  go(Number(slider.value) + step);
  event.preventDefault();
});

/** A new result ends the playing of the old one, and is not left at the step where that happened to be. */
const halfway = () => (timer ? ended() : stop());

/** Nothing can be made of that pose: the editor says why, and the result that was there stays. */
function refuse(value) {
  if (value.edit < edit) return;
  preview = null;
  stopped = fresh <= last;
  home.dispatchEvent(new CustomEvent("pose-refused", { detail: value }));
  draw();
}

/** Take over what Python sent. Anything made for an older edit than the one on screen is late, and ignored. */
function adopt() {
  const value = props.value;
  if (value?.edit >= edit && value.kind !== "preview") arrived();
  if (value?.kind === "refused") return refuse(value);
  if (!value || !value.frames?.length || value.edit < edit) return;
  if (value.kind === "preview") {
    if (value.edit === edit && !preview) return; // the finished steps of this very pose are already arriving
    halfway();
    edit = value.edit;
    preview = { url: value.frames[value.frames.length - 1], step: value.step };
  } else {
    if (value.edit !== edit) {
      halfway();
      stopped = false;
    }
    edit = value.edit;
    preview = null;
    fresh = value.frames.length;
    frames = value.frames.concat(frames.slice(fresh));
  }
  draw();
}

watch("value", adopt);
watch("source", drawSource);
see("trace").hidden = !props.levels.length;
drawSource();
adopt();
if (fresh > last && !matchMedia("(prefers-reduced-motion: reduce)").matches) opening = setTimeout(start, 500); // shows at once what the page is about
