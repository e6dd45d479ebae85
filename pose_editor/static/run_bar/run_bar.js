// Seed, saving, and remembering: what a visitor did comes back after a reload, and a link brings it to somebody else.
// The value is { seed, save: { kind, step, frames } } when something is to be saved, { seed, restore: {...} } when it comes back.
// The browser keeps { tab, photos, pose: {...}, garments: {...} }, of which every bar writes the part of its own tab.

const seed = element.querySelector(".rb-seed input");
const save = element.querySelector(".rb-save");
const film = element.querySelector(".rb-film");
const frames = element.querySelector(".rb-frames");
const note = element.querySelector(".rb-note");
const KEPT = "nted-step";
const MOST_KEPT = 3500000; // characters of own photos; browsers have room for 5 million in all
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

home.addEventListener("moment", ({ detail }) => (detail.seed = seed.valueAsNumber || 0));
home.addEventListener("moment-recalled", ({ detail }) => {
  if (detail.seed === undefined || detail.seed === seed.valueAsNumber) return;
  seed.value = detail.seed;
  props.value = { seed: detail.seed };
});
home.dispatchEvent(new Event("moment-joined"));

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
  props.value = { seed: seed.valueAsNumber, save: { ...wanted, step: +(home.querySelector(".sv-root")?.dataset.step ?? 20) } };
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
  return { person: chosen ?? null, joints, seed: seed.valueAsNumber || 0, step: +(viewer?.dataset.wanted ?? 20) };
}

function readKept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // a private window, or somebody else's data
  }
}

function keep() {
  if (!props.keeps || !element.isConnected) return;
  const kept = readKept(),
    now = state(),
    more = {}; // photos, from whoever shows the people; garments
  home.dispatchEvent(new CustomEvent("keeping", { detail: more }));
  const photos = fitting(more.photos ?? [], now.person);
  if (element.offsetParent) Object.assign(kept, { tab: props.keeps, photos });
  if (now.person?.startsWith("@") && !photos.some(({ name }) => name === now.person))
    delete kept[props.keeps]; // cannot be made again
  else if (touched) kept[props.keeps] = { ...now, garments: more.garments };
  try {
    localStorage.setItem(KEPT, JSON.stringify(kept));
  } catch {
    /* no room: then nothing is kept */
  }
}

/** As many photos as there is room for, and that of the person shown before all others. */
function fitting(photos, person) {
  let room = MOST_KEPT;
  const first = [...photos.filter(({ name }) => name === person), ...photos.filter(({ name }) => name !== person)];
  return first.filter(({ photo }) => (room -= photo.length) >= 0);
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
  if (!now.person || now.person.startsWith("@")) return say("Links work for the example people; your own photo stays private.");
  const link = location.href.split("#")[0] + toLink(now);
  history.replaceState(null, "", link);
  try {
    await navigator.clipboard.writeText(link);
    say("Link copied.");
  } catch {
    say("The link is in the address bar.");
  }
}

/** The visitor has changed something: it is to be kept, and no longer what the link in the address bar says. */
function touch() {
  touched = true;
  if (props.keeps === "pose" && fromLink(location.hash)) history.replaceState(null, "", location.href.split("#")[0]);
}

// Whatever is done in any tab is kept with the pose tab, where a visit begins.
const ground = props.keeps === "pose" ? document : home;
for (const event of ["pose-release", "own-photo"]) ground.addEventListener(event, touch);
ground.addEventListener("click", (event) => {
  if (event.target.closest?.(".pp-item")) touch();
});
window.addEventListener("pagehide", keep);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") keep();
});

watch("value", () => {
  if (props.value?.seed !== undefined) seed.value = props.value.seed;
});
save.disabled = home.querySelector(".sv-root")?.dataset.ready === "false"; // the viewer enables it with the first result
for (const option of [...save.options]) if (option.value && !props.saves.includes(option.value)) option.remove();

/** Ask Python for what was kept, or what a link says. */
function restore() {
  const all = readKept(),
    { garments, ...kept } = (props.keeps === "pose" && fromLink(location.hash)) || all[props.keeps] || {};
  if (garments) home.dispatchEvent(new CustomEvent("garments-kept", { detail: garments }));
  if (props.keeps === "pose" && all.photos?.length) kept.photos = all.photos;
  if (kept.joints) {
    touched = true;
    home.dispatchEvent(new Event("moment-restoring"));
    home.dispatchEvent(new CustomEvent("step-kept", { detail: kept.step ?? 20 }));
    const { person, photos, joints } = kept;
    seed.value = kept.seed || 0;
    props.value = { seed: kept.seed || 0, restore: { person, photos: photos ?? [], joints } };
  }
  if (kept.joints || props.keeps !== "pose") {
    home.dispatchEvent(new Event("result-awaited"));
    trigger("restore"); // the pose tab has its first result already
  }
  if (props.keeps === "pose" && !fromLink(location.hash)) openTab(all.tab);
}

/** The tab that was open before the reload. */
function openTab(name) {
  const tab = /^[a-z]+$/.test(name) && document.querySelector(`[role="tab"][data-tab-id="${name}"]`);
  if (tab && tab.getAttribute("aria-selected") === "false") tab.click();
}

/** The other tabs begin when they are seen. */
function begin() {
  if (props.keeps === "pose") return restore();
  const seen = new IntersectionObserver(([{ isIntersecting }]) => {
    if (!isIntersecting) return;
    seen.disconnect();
    restore();
  });
  seen.observe(element.closest(".desk") ?? element); // of which the bar itself may be below the end of the screen
}

home.addEventListener("moment-restored", () => {
  props.value = { seed: seed.valueAsNumber || 0 }; // else every later event would take the kept photos along
});
if (props.keeps) begin();
