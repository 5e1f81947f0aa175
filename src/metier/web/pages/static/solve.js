// A task, watched: each step arrives as a piece of the page that the server has rendered and escaped.

const form = document.getElementById("ask");
const steps = document.getElementById("events");
const working = document.getElementById("working");
const stop = document.getElementById("stop");
const send = form.querySelector("button:not([type=button])");
let under_way = null;

const add = (html) => {
  const piece = new DOMParser().parseFromString(`<ol>${html}</ol>`, "text/html");
  for (const step of piece.querySelectorAll("ol > li.event")) steps.append(document.adoptNode(step));
  steps.lastElementChild?.scrollIntoView({ block: "nearest" });
};

const say = (text) => {
  const step = document.createElement("li");
  const words = document.createElement("p");
  step.className = "event bad last";
  words.textContent = text;
  step.append(words);
  steps.append(step);
};

const take = (block) => {
  const lines = block.split("\n").filter((line) => line.startsWith("data: "));
  if (lines.length) add(lines.map((line) => line.slice(6)).join("\n"));
};

const busy = (is) => {
  working.hidden = !is;
  stop.hidden = !is;
  send.disabled = is;
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (send.disabled) return;
  document.querySelector(".suggestions")?.remove();
  steps.replaceChildren();
  busy(true);
  under_way = new AbortController();
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { accept: "text/event-stream" },
      signal: under_way.signal,
    });
    if (answer.redirected) return void location.assign(answer.url);
    if (!(answer.headers.get("content-type") ?? "").startsWith("text/event-stream")) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      return void say(page.querySelector(".lead")?.textContent ?? `The server answered ${answer.status}.`);
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const blocks = (rest + part.value).split("\n\n");
      rest = blocks.pop();
      blocks.forEach(take);
    }
  } catch (error) {
    say(error.name === "AbortError" ? "Stopped." : "The connection to the server was lost.");
  } finally {
    busy(false);
  }
});

stop.addEventListener("click", () => under_way?.abort());

form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && event.target.matches("textarea") && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit(send);
  }
});
