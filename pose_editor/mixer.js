// Whose textures each step takes: choose a person, paint the steps. The value is { owners: [name or "", ... one per step] },
// "" for the person on the page, "@own" for the visitor's own photo. A finished stroke makes the pose editor send its pose again.

const COLOURS = ["#71717a", "#4f46e5", "#b45309", "#047857", "#0e7490", "#be185d", "#7e22ce", "#b91c1c"];
const OWN = "@own";
const root = element.querySelector(".mx-root");
const people = element.querySelector(".mx-people");
const line = element.querySelector(".mx-line");
let owners = props.value.owners.slice(), brush = props.choices[0]?.name ?? "", painting = false, last = 0; // the cell painted last
let choices = [], brushes = [];

const colour = (name) => COLOURS[Math.max(choices.findIndex((choice) => choice.name === name), 0) % COLOURS.length];

/** Everybody there is to paint with. */
function build() {
  choices = [{ name: "", title: "This person" }, ...props.choices, ...(props.own ? [{ name: OWN, title: "Your photo", picture: props.own }] : [])];
  brushes = choices.map(brushOf);
  people.replaceChildren(...brushes);
}

function brushOf(choice, index) {
  const each = Object.assign(document.createElement("button"), { type: "button", title: choice.title });
  each.setAttribute("role", "radio");
  each.setAttribute("aria-label", choice.title);
  each.style.setProperty("--owner", colour(choice.name));
  if (choice.picture) each.append(Object.assign(document.createElement("img"), { src: choice.picture, alt: "", draggable: false }));
  else { each.className = "mx-self"; each.textContent = choice.title; }
  each.addEventListener("click", () => choose(index));
  each.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    choose((index + step + choices.length) % choices.length).focus();
    event.preventDefault();
  });
  return each;
}

const cells = owners.map((_, index) => {
  const cell = Object.assign(document.createElement("button"), { type: "button", textContent: index + 1 });
  cell.addEventListener("click", (event) => { if (!event.detail) { paint(index); finish(); } }); // from the keyboard
  return cell;
});
line.append(...cells);

function choose(index) {
  brush = choices[index].name;
  draw();
  return brushes[index];
}

function draw() {
  root.dataset.owners = JSON.stringify(owners); // for what is kept and for links
  brushes.forEach((each, index) => {
    each.setAttribute("aria-checked", choices[index].name === brush);
    each.tabIndex = choices[index].name === brush ? 0 : -1;
  });
  cells.forEach((cell, index) => {
    cell.style.setProperty("--owner", colour(owners[index]));
    cell.setAttribute("aria-label", `Step ${index + 1}: ${choices.find((choice) => choice.name === owners[index])?.title ?? "This person"}`);
  });
}

/** A stroke from one cell to another: a quick hand leaves none out. */
function paint(index, from = index) {
  const [first, end] = [Math.min(index, from), Math.max(index, from)].map((each) => Math.min(Math.max(each, 0), owners.length - 1));
  owners.fill(brush, first, end + 1);
  last = index;
  draw();
}

function finish() {
  if (JSON.stringify(owners) === JSON.stringify(props.value.owners)) return;
  props.value = { owners: owners.slice() };
  home.dispatchEvent(new Event("pose-again"));
}

const cellAt = (event) => {
  const box = line.getBoundingClientRect();
  return Math.floor(((event.clientX - box.left) / box.width) * owners.length);
};
line.addEventListener("pointerdown", (event) => { painting = true; line.setPointerCapture(event.pointerId); paint(cellAt(event)); });
line.addEventListener("pointermove", (event) => { if (painting) paint(cellAt(event), last); });
for (const end of ["pointerup", "pointercancel"]) line.addEventListener(end, () => { if (painting) { painting = false; finish(); } });
element.querySelector(".mx-clear").addEventListener("click", () => { owners = owners.map(() => ""); draw(); finish(); });

/** From Python: a mix that was kept or came with a link, and the visitor's own photo. */
function adopt() {
  owners = props.value.owners.slice();
  root.open ||= owners.some(Boolean);
  build();
  draw();
}

watch(["value", "own"], adopt);
build();
draw();
