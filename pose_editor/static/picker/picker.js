// A row of people to choose from: a radio group of pictures. The value is the name of the chosen one, or null.

const PACE = 150; // ms between two choices that are sent

const root = element.querySelector(".pp-root");
let chosen = props.value;
let sent = -PACE; // when the last one was sent
let due = 0; // timer of one that waits

const people = () => [...root.querySelectorAll(".pp-item")];

function build() {
  root.replaceChildren(
    ...props.choices.map((choice) => {
      const item = document.createElement("button");
      Object.assign(item, { type: "button", className: "pp-item", title: choice.title });
      item.setAttribute("role", "radio");
      item.setAttribute("aria-label", choice.title);
      item.dataset.name = choice.name;
      const picture = document.createElement("img");
      Object.assign(picture, { src: choice.picture, alt: "", draggable: false });
      item.append(picture);
      item.addEventListener("click", () => choose(choice.name));
      return choice.name.startsWith("@") ? ownPhoto(item, choice) : item;
    }),
  );
}

/** A photo of the visitor's own can be taken away again. */
function ownPhoto(item, choice) {
  const own = Object.assign(document.createElement("span"), { className: "pp-own" }),
    remove = Object.assign(document.createElement("button"), { type: "button", className: "pp-forget", textContent: "×" });
  remove.title = "Remove this photo";
  remove.setAttribute("aria-label", `Remove ${choice.title}`);
  remove.addEventListener("click", () => {
    if (chosen === choice.name) choose(props.choices[0].name);
    trigger("forget", { name: choice.name });
    people()[0].focus();
  });
  own.append(item, remove);
  return own;
}

function mark() {
  const items = people(),
    place = items.findIndex((item) => item.dataset.name === chosen);
  items.forEach((item, index) => {
    item.setAttribute("aria-checked", index === place);
    item.tabIndex = index === Math.max(place, 0) ? 0 : -1; // one stop for Tab, arrows inside, as in any radio group
  });
}

function choose(name) {
  chosen = name;
  mark();
  clearTimeout(due);
  due = setTimeout(send, Math.max(sent + PACE - performance.now(), 0));
}

/** The first choice at once, and of a row of them the last: an arrow key held down makes dozens a second. */
function send() {
  sent = performance.now();
  props.value = chosen;
  home.dispatchEvent(new Event("result-awaited"));
  trigger("select");
}

root.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const items = people(),
    at = items.indexOf(event.target);
  if (!step || at < 0) return;
  event.preventDefault();
  const next = items[(at + step + items.length) % items.length];
  next.focus();
  choose(next.dataset.name);
});

// The history of what is chosen, see the editor: a moment with somebody who is not here any more, or shown otherwise, is gone.
home.addEventListener("moment-recalling", (event) => {
  const { person, photo } = event.detail;
  if (!props.choices.some(({ name, picture }) => name === person && picture === photo)) event.preventDefault();
});
home.addEventListener("moment-recalled", ({ detail }) => {
  if (detail.person !== chosen) choose(detail.person);
});

build();
mark();
// The run bar gathers what the browser keeps from the parts of the page: a visitor's own photos are here.
const ownPhotos = () => props.choices.filter(({ own }) => own).map(({ name, own }) => ({ name, ...own }));
home.addEventListener("keeping", ({ detail }) => (detail.photos = ownPhotos()));

watch("choices", () => {
  build();
  mark();
  if (ownPhotos().length) home.dispatchEvent(new Event("own-photo", { bubbles: true }));
});
watch("value", () => {
  chosen = props.value;
  clearTimeout(due);
  mark();
});
