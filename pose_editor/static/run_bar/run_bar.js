// Seed, saving, and remembering: what a visitor did comes back after a reload, and a link brings it to somebody else.
// The value is { seed, save: { kind, step, frames } } when something is to be saved, { seed, restore: {...} } when it comes back.

const seed = element.querySelector("input");
const save = element.querySelector(".rb-save");
const film = element.querySelector(".rb-film");
const frames = element.querySelector(".rb-frames");
const note = element.querySelector(".rb-note");
const KEPT = "nted-step";
let noteTimer = 0;
let touched = false;
let filmKind = "";

function say(text, ms = 4000) {
  note.textContent = text;
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => {
    note.textContent = "";
  }, ms);
}

/** A new seed: the editor sends its pose once more, so that the newest edit still wins. */
function reseed() {
  if (!seed.value || !seed.checkValidity()) return say("A seed is a whole number from 0 to 4294967295.");
  props.value = { seed: seed.valueAsNumber };
  home.dispatchEvent(new Event("pose-again"));
}

seed.addEventListener("change", reseed);
element.querySelector(".rb-dice").addEventListener("click", () => {
  seed.value = crypto.getRandomValues(new Uint32Array(1))[0] % 10000; // short enough to be told to somebody
  reseed();
});

save.addEventListener("change", () => {
  const kind = save.value;
  save.value = "";
  if (kind === "link") return copyLink();
  if (kind.startsWith("film")) return askFilm(kind);
  ask({ kind });
});

function ask(wanted) {
  props.value = { seed: seed.valueAsNumber, save: { ...wanted, step: state().step } };
  if (wanted.kind.startsWith("film")) trigger("film");
  else trigger("save");
}

/** A film first asks how many poses it shall have; nothing when that is not wanted any more. */
function askFilm(kind = "") {
  filmKind = kind;
  film.hidden = !kind;
  say("");
  (kind ? frames : save).focus();
  if (kind) frames.select();
}

film.addEventListener("submit", (event) => {
  event.preventDefault();
  const kind = filmKind;
  askFilm();
  say("Making the film…", 120000);
  ask({ kind, frames: frames.valueAsNumber });
});
film.addEventListener("keydown", (event) => {
  if (event.key === "Escape") askFilm();
});
element.querySelector(".rb-never").addEventListener("click", () => askFilm());

home.addEventListener("download-said", ({ detail }) => say(detail, 20000));

// --- what is kept ----------------------------------------------------------------------------------------------

/** Everything that makes the present result, read from the parts of the page. */
function state() {
  const chosen = home.querySelector('.pp-item[aria-checked="true"]')?.dataset.name,
    viewer = home.querySelector(".sv-root");
  const joints = [...home.querySelectorAll("[data-joint]")].map((joint) => {
    const dot = joint.querySelector(".pe-dot");
    return [+dot.getAttribute("cx"), +dot.getAttribute("cy"), !joint.classList.contains("pe-hidden")];
  });
  const person = chosen && !chosen.startsWith("@") ? chosen : null; // own photos have no name elsewhere
  return { person, joints, seed: seed.valueAsNumber || 0, step: +(viewer?.dataset.step ?? 20) };
}

function keep() {
  if (!touched || !props.keeps) return;
  const now = state();
  if (!now.person) {
    home.dispatchEvent(new CustomEvent("keeping", { detail: now })); // the editor adds the photo, its fit, and its pose where it is known
  }
  try {
    localStorage.setItem(KEPT, JSON.stringify(now));
  } catch {
    /* private window or no room: then nothing is kept */
  }
}

const toLink = ({ person, joints, seed, step }) => {
  const rows = joints.map(([x, y, seen]) => (seen ? `${Math.round(x * 10) / 10},${Math.round(y * 10) / 10}` : "-")).join("_");
  return `#person=${encodeURIComponent(person)}&seed=${seed}&step=${step}&pose=${rows}`;
};

function fromLink(hash) {
  const fields = new URLSearchParams(hash.slice(1));
  if (!fields.has("pose")) return null;
  const joints = fields
    .get("pose")
    .split("_")
    .map((row) => (row === "-" ? [-1, -1, false] : [...row.split(",").map(Number), true]));
  return { person: fields.get("person"), joints, seed: Number(fields.get("seed")), step: Number(fields.get("step") ?? 20) };
}

async function copyLink() {
  const now = state();
  if (!now.person) return say("Links work for the example people; your own photo stays private.");
  const link = location.href.split("#")[0] + toLink(now);
  history.replaceState(null, "", link);
  try {
    await navigator.clipboard.writeText(link);
    say("Link copied.");
  } catch {
    say("The link is in the address bar.");
  }
}

function readKept() {
  try {
    return fromLink(location.hash) ?? JSON.parse(localStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

for (const event of ["pose-release", "own-photo"])
  home.addEventListener(event, () => {
    touched = true;
  });
window.addEventListener("pagehide", keep);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") keep();
});
home.addEventListener("click", (event) => {
  if (event.target.closest?.(".pp-item")) touched = true;
});

watch("value", () => {
  if (props.value?.seed !== undefined) seed.value = props.value.seed;
});
if (!props.keeps) for (const kind of ["film-gif", "film-mp4", "link"]) save.querySelector(`[value="${kind}"]`).remove();
const kept = props.keeps && readKept();
if (kept) {
  touched = true;
  props.value = { seed: kept.seed || 0, restore: kept };
  seed.value = kept.seed || 0;
  trigger("restore");
}
