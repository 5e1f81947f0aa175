// Forms that only look: while somebody types, what the form would show is fetched and put in its place.

const PAUSE = 140;

for (const form of document.querySelectorAll("form[data-live]")) {
  document.documentElement.classList.add("live");
  let timer = 0;
  let under_way = null;

  const address = () => {
    const given = [...new FormData(form)].filter(([, value]) => value !== "");
    const query = new URLSearchParams(given).toString();
    return form.action + (query ? `?${query}` : "");
  };

  const show = async () => {
    under_way?.abort();
    under_way = new AbortController();
    const wanted = address();
    try {
      const answer = await fetch(wanted, { signal: under_way.signal });
      if (answer.redirected || !answer.ok) return void location.assign(wanted);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.querySelector(form.dataset.live);
      if (!found) return void location.assign(wanted);
      document.querySelector(form.dataset.live).replaceWith(document.adoptNode(found));
      history.replaceState(null, "", wanted);
      document.dispatchEvent(new CustomEvent("found", { detail: wanted }));
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  };

  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(show, PAUSE);
  };
  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    show();
  });
}
