// The map of the library: fetched after the list, drawn by the server; here is only what follows the pointer.

const REACH = 14;
const SVG = "http://www.w3.org/2000/svg";

const holder = document.querySelector("[data-map]");
let places = null;
let drawn = 0;

const draw = async () => {
  const number = ++drawn;
  const query = new URLSearchParams(location.search);
  query.delete("page");
  query.set("picture", "1");
  const answer = await fetch(`${holder.dataset.map}?${query}`);
  if (!answer.ok || number !== drawn) return;
  const text = (await answer.text()).trim();
  if (number !== drawn) return;
  if (!text) return void holder.replaceChildren();
  const picture = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (picture.namespaceURI !== SVG) return;
  holder.replaceChildren(document.adoptNode(picture), document.createElement("div"));
  follow(picture, holder.lastElementChild);
};

const nearest = (picture, event) => {
  if (!places) return null;
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
  let best = null;
  let least = REACH * REACH;
  for (const place of places) {
    const distance = (place[1] - point.x) ** 2 + (place[2] - point.y) ** 2;
    if (distance < least) [best, least] = [place, distance];
  }
  return best;
};

const follow = (picture, tip) => {
  tip.className = "tip";
  tip.hidden = true;
  const ring = document.createElementNS(SVG, "circle");
  ring.setAttribute("class", "here");
  ring.setAttribute("r", "11");

  const leave = () => {
    tip.hidden = true;
    ring.remove();
    picture.classList.remove("pointing");
  };
  picture.addEventListener("pointerenter", async () => {
    places ??= await (await fetch(holder.dataset.places)).json();
  });
  picture.addEventListener("pointermove", (event) => {
    const place = nearest(picture, event);
    if (!place) return leave();
    const [id, x, y, summary] = place;
    const name = document.createElement("strong");
    name.textContent = id;
    tip.replaceChildren(name, summary);
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    picture.append(ring);
    picture.classList.add("pointing");
    tip.hidden = false;
    const box = holder.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 16, box.width - tip.offsetWidth);
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${event.clientY - box.top + 18}px`;
  });
  picture.addEventListener("pointerleave", leave);
  picture.addEventListener("click", (event) => {
    const place = event.target.closest("a") ? null : nearest(picture, event);
    if (place) location.assign(holder.dataset.target + encodeURIComponent(place[0]));
  });
};

if (holder) {
  draw();
  document.addEventListener("found", draw);
}
