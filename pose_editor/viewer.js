// The step viewer: one picture out of a run, a slider over all its steps, a filmstrip, and play.
// The value is { edit, kind: "steps" | "preview", frames: [url, ...], done }, frames from step 0 on. A running sampler
// sends a growing list. Moving through the steps never asks the server.

const PACE = 95; // ms per step when played

const root = element.querySelector(".sv-root");
const image = element.querySelector(".sv-image");
const [labelStep, , labelSize] = element.querySelectorAll(".sv-label span");
const strip = element.querySelector(".sv-strip");
const slider = element.querySelector(".sv-slider");
const play = element.querySelector(".sv-play");

const sizes = props.sizes, last = sizes.length - 1;
let frames = [];         // what the strip shows: the newest run over what is left of the one before
let fresh = 0;           // how many of them belong to the newest run
let edit = -1;           // the edit they were made for
let preview = null;      // { url, step } while a drag is being followed
let wanted = last;       // the step the person asked for; the last one means "follow the sampler"
let timer = 0;

const sizeText = (step) => `${sizes[step][0]}x${sizes[step][1]}`;
const stepName = (step) => `step ${step} · ${sizeText(step)}`;

const cells = sizes.map(() => {
  const cell = document.createElement("div");
  cell.className = "sv-cell";
  cell.append(Object.assign(document.createElement("img"), { alt: "", draggable: false, hidden: true }));
  strip.append(cell);
  return cell;
});
slider.max = last;

/** The step on screen: the one asked for, or the newest there is. */
const shown = () => Math.min(wanted, Math.max(fresh - 1, 0));

function draw() {
  const step = preview ? preview.step : shown();
  const url = preview ? preview.url : frames[step];
  if (url && image.getAttribute("src") !== url) image.src = url;
  image.hidden = !url;
  image.classList.toggle("sv-full", step === last); // the last step is a picture, not pixels to be counted
  image.alt = url ? `The re-posed person, ${stepName(step)}` : "";
  labelStep.textContent = preview ? "preview" : `step ${step}`;
  labelSize.textContent = sizeText(step);
  slider.value = step;
  slider.setAttribute("aria-valuetext", stepName(step));
  root.dataset.step = step;
  root.dataset.state = preview ? "preview" : fresh > last ? "done" : "running";
  root.dataset.edit = edit;
  cells.forEach((cell, index) => {
    const picture = cell.firstChild;
    if (frames[index] && picture.getAttribute("src") !== frames[index]) picture.src = frames[index];
    picture.hidden = !frames[index];
    cell.classList.toggle("sv-stale", !!preview || index >= fresh);
    cell.classList.toggle("sv-on", index === step);
  });
}

function go(step) {
  wanted = Math.min(Math.max(step, 0), last);
  preview = null;
  draw();
}

function stop() {
  clearInterval(timer);
  timer = 0;
  root.classList.remove("sv-playing");
  play.setAttribute("aria-label", "Play all steps");
}

function start() {
  stop();
  go(0);
  root.classList.add("sv-playing");
  play.setAttribute("aria-label", "Pause");
  timer = setInterval(() => (wanted < last ? go(wanted + 1) : stop()), PACE);
}

play.addEventListener("click", () => (timer ? stop() : start()));
slider.addEventListener("input", () => { stop(); go(Number(slider.value)); });

function scrub(event) {
  const box = strip.getBoundingClientRect();
  stop();
  go(Math.floor(((event.clientX - box.left) / box.width) * sizes.length));
}

strip.addEventListener("pointerdown", (event) => { strip.setPointerCapture(event.pointerId); scrub(event); });
strip.addEventListener("pointermove", (event) => { if (strip.hasPointerCapture(event.pointerId)) scrub(event); });

/** Take over what Python sent. Anything made for an older edit than the one on screen is late, and ignored. */
function adopt() {
  const value = props.value;
  if (!value || !value.frames?.length || value.edit < edit) return;
  if (value.kind === "preview") {
    if (value.edit === edit && !preview) return; // the finished steps of this very pose are already arriving
    stop();
    edit = value.edit;
    preview = { url: value.frames[value.frames.length - 1], step: value.step };
  } else {
    if (value.edit !== edit) stop();
    edit = value.edit;
    preview = null;
    fresh = value.frames.length;
    frames = value.frames.concat(frames.slice(fresh));
  }
  draw();
}

watch("value", adopt);
adopt();
if (fresh > last && !matchMedia("(prefers-reduced-motion: reduce)").matches) setTimeout(start, 500); // shows at once what the page is about
