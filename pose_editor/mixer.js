// Whose textures each step takes: choose a person, paint the steps. The value is { owners: [name or "", ... one per step] },
// "" for the person on the page. A finished stroke makes the pose editor send its pose again.

const COLOURS = ["#71717a", "#4f46e5", "#b45309", "#047857", "#0e7490", "#be185d", "#7e22ce", "#b91c1c"];
const people = element.querySelector(".mx-people");
const line = element.querySelector(".mx-line");
const choices = [{ name: "", title: "This person" }, ...props.choices];
let owners = props.value.owners.slice(), brush = choices[1]?.name ?? "", painting = false;

const colour = (name) => COLOURS[Math.max(choices.findIndex((choice) => choice.name === name), 0) % COLOURS.length];

const brushes = choices.map((choice, index) => {
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
});
people.append(...brushes);

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
  brushes.forEach((each, index) => {
    each.setAttribute("aria-checked", choices[index].name === brush);
    each.tabIndex = choices[index].name === brush ? 0 : -1;
  });
  cells.forEach((cell, index) => {
    cell.style.setProperty("--owner", colour(owners[index]));
    cell.setAttribute("aria-label", `Step ${index + 1}: ${choices.find((choice) => choice.name === owners[index])?.title ?? "This person"}`);
  });
}

function paint(index) {
  if (index < 0 || index >= owners.length) return;
  owners[index] = brush;
  draw();
}

function finish() {
  if (JSON.stringify(owners) === JSON.stringify(props.value.owners)) return;
  props.value = { owners: owners.slice() };
  window.dispatchEvent(new Event("pose-again"));
}

const cellAt = (event) => {
  const box = line.getBoundingClientRect();
  return Math.floor(((event.clientX - box.left) / box.width) * owners.length);
};
line.addEventListener("pointerdown", (event) => { painting = true; line.setPointerCapture(event.pointerId); paint(cellAt(event)); });
line.addEventListener("pointermove", (event) => { if (painting) paint(cellAt(event)); });
for (const end of ["pointerup", "pointercancel"]) line.addEventListener(end, () => { if (painting) { painting = false; finish(); } });
element.querySelector(".mx-clear").addEventListener("click", () => { owners = owners.map(() => ""); draw(); finish(); });
draw();
