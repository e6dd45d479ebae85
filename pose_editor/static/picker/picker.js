// A row of people to choose from: a radio group of pictures. The value is the name of the chosen one, or null.

const PACE = 150; // ms between two choices that are sent

const root = element.querySelector(".pp-root");
let chosen = props.value;
let sent = -PACE; // when the last one was sent
let due = 0; // timer of one that waits

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
      return item;
    }),
  );
}

function mark() {
  const items = [...root.children],
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
  trigger("select");
}

root.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const items = [...root.children],
    at = items.indexOf(event.target);
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
