// The garments: up to three rows of person, part and strength. The value is { garments: [{ person, part, strength, mask }], into },
// see wardrobe.py. A finished change makes the pose editor send its pose again, so that the newest edit wins. painter.js stands below it.

const list = element.querySelector(".wa-rows");
const add = element.querySelector(".wa-add");
const NAMES = { upper: "upper body", lower: "lower body" };
const PHOTO_INPUT = "#garment-photo [type=file]";
let rows = copy(props.value.garments);
let putBefore = props.put;

function copy(garments) {
  return garments.map((row) => ({ ...row }));
}

/** Tell Python, by way of the pose editor. */
function publish(into = 0) {
  props.value = { garments: copy(rows), into };
  home.dispatchEvent(new Event("pose-again"));
}

const personOf = (row) => props.people.find((person) => person.name === row.person);
const foundFor = (row) => props.found.find((each) => each.person === row.person && each.part === row.part)?.mask;
const put = (tag, className, more = {}) => Object.assign(document.createElement(tag), { className, ...more });

function set(index, changes) {
  rows[index] = { ...rows[index], ...changes };
  draw();
  publish();
}

/** Somebody else or another part: what was painted for the one before is of no use. */
const choose = (index, changes) => set(index, { ...changes, mask: "" });

function rowOf(row, index) {
  const card = put("div", "wa-row");
  card.setAttribute("role", "group");
  card.setAttribute("aria-label", `Garment ${index + 1}`);
  card.addEventListener("dragover", () => card.classList.add("wa-over"));
  for (const end of ["dragleave", "drop"]) card.addEventListener(end, () => card.classList.remove("wa-over"));
  card.addEventListener("photo-dropped", (event) => {
    event.preventDefault(); // it is not for the wearer
    askFor(index);
    home.dispatchEvent(new CustomEvent("photo-for", { detail: { file: event.detail, input: PHOTO_INPUT } }));
  });
  card.append(lookOf(row, index), headOf(row, index), partOf(row, index), strengthOf(row, index));
  return card;
}

/** The photo under its mask; a press opens the painter. */
function lookOf(row, index) {
  const person = personOf(row),
    mask = row.mask || foundFor(row),
    waits = !!person && props.recognises && mask === undefined, // for the parser, or else what is recognised would be painted over
    look = put("button", "wa-look", { type: "button", disabled: !person || waits });
  const pictures = put("span", "wa-pictures");
  if (person) pictures.append(put("img", "", { src: person.picture, alt: "", draggable: false }));
  if (person && mask) pictures.append(put("img", "wa-tint", { src: mask, alt: "", draggable: false }));
  const word = waits ? "Looking…" : row.mask ? "Painted…" : mask ? "Adjust…" : "Paint…";
  look.append(pictures, put("span", "wa-word", { textContent: word }));
  look.setAttribute("aria-label", `${word} ${person ? `what is taken of ${person.title}` : "nobody is chosen yet"}`);
  look.title = "Paint or erase what is taken";
  look.dataset.mask = waits ? "awaited" : row.mask ? "painted" : mask ? "recognised" : "none";
  look.addEventListener("click", () => openPainter(index));
  return look;
}

function headOf(row, index) {
  const head = put("div", "wa-head"),
    people = put("div", "wa-people");
  people.setAttribute("role", "radiogroup");
  people.setAttribute("aria-label", "Whose garment");
  const at = props.people.findIndex((person) => person.name === row.person);
  people.append(
    ...props.people.map((person, place) => {
      const each = put("button", "", { type: "button", title: person.title, tabIndex: place === Math.max(at, 0) ? 0 : -1 });
      each.setAttribute("role", "radio");
      each.setAttribute("aria-label", person.title);
      each.setAttribute("aria-checked", place === at);
      each.dataset.name = person.name;
      each.append(put("img", "", { src: person.picture, alt: "", draggable: false }));
      each.addEventListener("click", () => {
        choose(index, { person: person.name });
        focusPerson(index, place);
      });
      each.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        const next = (place + step + props.people.length) % props.people.length;
        choose(index, { person: props.people[next].name });
        focusPerson(index, next);
        event.preventDefault();
      });
      return each;
    }),
  );
  const photo = put("button", "wa-photo-button", {
    type: "button",
    textContent: "Your photo",
    title: "A photo of somebody in the garment",
  });
  photo.addEventListener("click", () => {
    askFor(index);
    home.querySelector(PHOTO_INPUT).click();
  });
  const remove = put("button", "wa-remove", { type: "button", textContent: "×", title: "Without this garment" });
  remove.setAttribute("aria-label", `Remove garment ${index + 1}`);
  remove.addEventListener("click", () => {
    rows.splice(index, 1);
    draw();
    publish();
    add.focus();
  });
  people.append(photo);
  head.append(people, remove);
  return head;
}

/** The next photo is for this garment. */
function askFor(index) {
  props.value = { garments: copy(rows), into: index };
}

const focusPerson = (index, place) => list.children[index].querySelectorAll("[role=radio]")[place].focus();

function partOf(row, index) {
  const line = put("div", "wa-line"),
    select = put("select", ""),
    id = `wa-part-${index}`;
  const group = (label, parts) => {
    const each = put("optgroup", "", { label });
    each.append(...parts.map((part) => new Option(NAMES[part] ?? part, part)));
    return each;
  };
  select.append(group("Often", props.common), group("One class", props.others));
  Object.assign(select, { id, value: row.part });
  select.addEventListener("change", () => {
    choose(index, { part: select.value });
    list.querySelector(`#${id}`).focus();
  });
  line.append(put("label", "", { htmlFor: id, textContent: "Part" }), select);
  return line;
}

function strengthOf(row, index) {
  const line = put("div", "wa-line"),
    slider = put("input", "", { type: "range", min: 0, max: 100, value: Math.round(100 * row.strength), id: `wa-strength-${index}` });
  const shown = put("output", "", { textContent: `${slider.value}%` });
  slider.addEventListener("input", () => {
    shown.textContent = `${slider.value}%`;
  });
  slider.addEventListener("change", () => {
    rows[index].strength = slider.value / 100;
    publish();
  });
  line.append(put("label", "", { htmlFor: slider.id, textContent: "Strength" }), slider, shown);
  return line;
}

function draw() {
  list.replaceChildren(...rows.map(rowOf));
  add.hidden = rows.length >= props.most;
  add.textContent = rows.length ? "+ Another garment" : "+ A garment";
}

add.addEventListener("click", () => {
  rows.push({ person: "", part: rows.length ? "lower" : "upper", strength: 1, mask: "" });
  draw();
  list.lastChild.querySelector("[role=radio]").focus();
});

/** From Python: another value, other people, what was recognised; a photo that was given for a row. */
function adopt() {
  for (const row of rows) if (row.person && !personOf(row)) Object.assign(row, { person: "", mask: "" }); // a photo that is gone
  draw();
  if (!props.put || props.put === putBefore || !rows[props.put.into]) return;
  putBefore = props.put;
  choose(props.put.into, { person: props.put.person });
}

home.addEventListener("moment", ({ detail }) => (detail.garments = copy(rows.filter((row) => row.person))));
home.addEventListener("moment-recalled", ({ detail }) => {
  if (!detail.garments) return;
  rows = copy(detail.garments);
  props.value = { garments: copy(rows), into: 0 };
  draw();
});
home.dispatchEvent(new Event("moment-joined"));
home.addEventListener("keeping", ({ detail }) => (detail.garments = copy(rows)));
home.addEventListener("garments-kept", ({ detail }) => {
  rows = copy(detail);
  props.value = { garments: copy(rows), into: 0 };
  draw();
});

watch("value", () => {
  rows = copy(props.value.garments);
  draw();
});
watch(["people", "found", "put", "recognises"], adopt);
draw();
