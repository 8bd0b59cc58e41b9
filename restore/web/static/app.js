// The page: asks the server how things stand, shows it, and sends what the visitor chooses.
import { api, ask } from "./api.js";
import { addFiles, isUploading, patiently, uploading } from "./uploads.js";

const PHOTO_MS = 5, FILM_MS = 100, SENDING_MS = 500, IDLE_MS = 4000, SETTLE_MS = 500;
const part = (id) => document.getElementById(id);

let state = { items: [], changes: -1 };
let chosen = null; // the id of the item that is shown
let shownAs = ""; // what the settings were filled in for
let choicesOf = null; // the id of the item whose choices are shown
let timer = 0;
let forAll = 0; // which press of "use for all" counts
const settling = new Map(); // by item: the change of its settings that is about to be sent

const find = (id) => state.items.find((item) => item.id === id);
const isBusy = (item) => item.state === "waiting" || item.state === "working";

// ---- asking ----

async function refresh() {
  clearTimeout(timer);
  tellUploads();
  try {
    const answer = await api(`/api/state?seen=${state.changes}`);
    if (answer) take(answer);
    part("problems").querySelector("[data-gone]")?.remove();
  } catch (error) {
    problem(error.message, true);
  }
  clearTimeout(timer);
  timer = setTimeout(refresh, untilNext());
}

function untilNext() {
  const busy = state.items.filter(isBusy);
  if (busy.some((item) => item.kind === "photo")) return PHOTO_MS; // the server answers when there is news
  return busy.length ? FILM_MS : isUploading() ? SENDING_MS : IDLE_MS;
}

function tellUploads() {
  part("sending").textContent = uploading() > 1 ? `${uploading()} files are on their way.` : "";
}

function take(answer) {
  const before = new Map(state.items.map((item) => [item.id, item]));
  state = answer;
  for (const item of state.items) {
    const old = before.get(item.id);
    if (old && isBusy(old) && !isBusy(item)) part("news").textContent = `${item.name}: ${inWords(item)}`;
  }
  if (!find(chosen)) chosen = state.items[0]?.id ?? null;
  render();
}

// ---- showing ----

function inWords(item) {
  if (item.state === "waiting") return item.told;
  if (item.state === "working") {
    if (item.kind === "photo") return item.early ? "saving …" : "colouring …";
    if (item.task === "stills") return "making stills …";
    return item.share === null ? "colouring …" : `${Math.floor(item.share * 100)} % coloured`;
  }
  if (item.state === "failed") return "could not be coloured";
  if (item.result) return item.result.kept ? "in colour already" : "ready";
  return item.kind === "film" && item.stills ? "stills are ready" : item.message || "added";
}

// The number of the result that can be looked at: the one in hand, or the last; 0 where there is nothing to compare.
const seen = (item) => item.early || (item.result && !item.result.kept ? item.result.number : 0);

function view(item, of, small) {
  const number = of === "before" ? 0 : seen(item);
  return `/api/items/${item.id}/view?of=${of}&n=${number}${small ? "&small" : ""}`;
}

function setImage(image, address) {
  if (image.getAttribute("src") === address) return;
  image.src = address;
  if (image.id === "before") part("compare").classList.add("loading");
}

function render() {
  const some = state.items.length > 0;
  part("drop").classList.toggle("slim", some);
  part("strip-part").hidden = part("detail").hidden = part("forget").hidden = !some;
  part("limits").textContent = `${some ? "Or drop them anywhere on this page. " : ""}Up to ${state.max_upload.toLocaleString("en")} MB a file.`;
  part("promise").textContent = state.private
    ? "Photos and clips stay on this computer. They are removed an hour after you leave."
    : "Photos and clips go to the computer that runs this page. They are removed an hour after you leave.";
  part("all").hidden = state.items.filter((item) => item.result).length < 2;
  renderStrip();
  if (find(chosen)) renderDetail(find(chosen));
}

function renderStrip() {
  const strip = part("strip");
  const known = new Map([...strip.children].map((entry) => [entry.dataset.id, entry]));
  for (const item of state.items) {
    const entry = known.get(item.id) ?? newEntry(item);
    known.delete(item.id);
    const button = entry.firstChild;
    if (item.id === chosen) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    button.classList.toggle("failed", item.state === "failed");
    button.querySelector(".state").textContent = inWords(item);
    const image = button.querySelector("img");
    if (image && seen(item)) setImage(image, view(item, "after", true));
    else if (image && item.state !== "failed") setImage(image, view(item, "before", true));
  }
  for (const entry of known.values()) entry.remove();
}

function newEntry(item) {
  const entry = document.createElement("li"), button = document.createElement("button");
  entry.dataset.id = item.id;
  button.type = "button";
  const thumb = document.createElement(item.kind === "photo" ? "img" : "span");
  thumb.className = "thumb";
  if (item.kind === "photo") thumb.alt = "";
  else thumb.textContent = "▶";
  thumb.setAttribute("aria-hidden", "true");
  const label = document.createElement("span"), told = document.createElement("span");
  [label.className, told.className] = ["label", "state"];
  label.textContent = item.name;
  button.title = item.name;
  button.append(thumb, label, told);
  thumb.addEventListener("error", () => { thumb.classList.add("lost"); });
  thumb.addEventListener("load", () => { thumb.classList.remove("lost"); });
  button.addEventListener("click", () => {
    chosen = item.id;
    render();
    entry.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  entry.append(button);
  part("strip").append(entry);
  return entry;
}

function renderDetail(item) {
  const film = item.kind === "film", result = item.result, busy = isBusy(item);
  if (part("detail").dataset.id !== item.id) { // else the last one's pictures would stay until these are there
    part("detail").dataset.id = item.id;
    for (const id of ["before", "after", "doubt", "stills"]) part(id).removeAttribute("src");
  }
  part("name").textContent = item.name;
  const message = part("message");
  message.textContent = busy ? "" : item.message === "cancelled" ? "This was cancelled." : item.message ||
    (result?.kept ? `This ${film ? "clip" : "photo"} is in colour already, so it was left as it is.` : "");
  message.className = item.state === "failed" ? "problem" : "";

  part("compare").hidden = film || (item.state === "failed" && !result);
  part("compare").classList.toggle("busy", busy && !item.early);
  if (!film && !part("compare").hidden) {
    setImage(part("before"), view(item, "before"));
    const two = seen(item) > 0;
    for (const id of ["after", "line", "cut", "tag-before", "tag-after"]) part(id).hidden = !two;
    if (two) setImage(part("after"), view(item, "after"));
  }
  renderDoubt(item);
  part("choices-part").hidden = choicesOf !== item.id;
  part("stills-part").hidden = !film || !item.stills;
  if (film && item.stills) setImage(part("stills"), `/api/items/${item.id}/stills?n=${item.stills}`);
  const player = part("player");
  player.hidden = !film || !result;
  if (!player.hidden) setImage(player, `/api/items/${item.id}/play?n=${result.number}`);
  else player.removeAttribute("src");

  part("settings").hidden = item.state === "failed" && !result && !item.stills;
  part("work").hidden = !busy;
  part("work").classList.toggle("over", !film);
  part("told").textContent = busy ? sentence(film && item.state === "working" && item.told ? `${inWords(item)}, ${item.told}` : inWords(item)) : "";
  if (item.share === null) part("share").removeAttribute("value");
  else part("share").value = item.share;
  part("cancel").hidden = !film && item.state === "working"; // a photo is through in a moment
  part("notes").replaceChildren(...(result?.notes ?? []).map((note) => {
    const line = document.createElement("li");
    line.textContent = sentence(note);
    return line;
  }));

  const download = part("download");
  download.hidden = !result;
  if (result) {
    download.href = `/api/items/${item.id}/download`;
    download.setAttribute("download", result.name);
    part("facts").textContent = [result.name, result.facts, result.size].filter(Boolean).join(", ");
  } else part("facts").textContent = "";
  part("stills-again").hidden = !film || item.state === "working";
  part("go").hidden = film ? item.state === "working" : busy || Boolean(result); // a photo that was cancelled
  part("go").textContent = result ? "Colour it again" : film ? "Colour the whole clip" : "Colour it";
  part("go").classList.toggle("main", !result);
  part("show-choices").hidden = film;
  part("for-all").hidden = film || state.items.filter((other) => other.kind === "photo").length < 2;
  part("recolor-part").hidden = !(film || result?.kept || item.settings.recolor);
  part("command").textContent = item.command;
  fillSettings(item);
}

function renderDoubt(item) {
  part("doubt-part").hidden = item.kind === "film" || !item.result || item.result.kept || !state.doubt;
  const wanted = !part("doubt-part").hidden && part("show-doubt").checked;
  part("doubt").hidden = part("doubt-legend").hidden = !wanted;
  if (wanted) setImage(part("doubt"), `/api/items/${item.id}/view?of=doubt&n=${item.result.number}`);
}

const sentence = (text) => text ? text[0].toUpperCase() + text.slice(1) : "";

// ---- settings ----

function fillSettings(item) {
  const wanted = `${item.id} ${JSON.stringify(item.settings)}`;
  if (wanted === shownAs || (settling.has(item.id) && shownAs.startsWith(item.id))) return; // else what is being chosen would jump back
  shownAs = wanted;
  const form = part("settings");
  part("styles").hidden = !state.styles;
  part("eras").hidden = !state.eras;
  part("calm-part").hidden = !state.doubt;
  if (!part("size").children.length) {
    part("size").append(new Option(`Usual (${state.size})`, ""), ...state.sizes.map((size) =>
      new Option(`${size < state.size ? "Less closely" : "More closely"} (${size})`, size)));
  }
  form.elements.style.value = item.settings.style ?? "usual";
  form.elements.era.value = item.settings.era;
  form.elements.saturation.value = item.settings.saturation;
  form.elements.calm.value = item.settings.calm;
  form.elements.size.value = item.settings.size ?? "";
  form.elements.recolor.checked = item.settings.recolor;
  tellNumbers();
}

function tellNumbers() {
  for (const id of ["saturation", "calm"]) {
    const percent = id === "calm" && part(id).value === "0" ? "off" : `${Math.round(part(id).value * 100)} %`;
    part(`${id}-told`).textContent = percent;
    part(id).setAttribute("aria-valuetext", percent);
  }
}

function settings() {
  const { style, era, saturation, calm, size, recolor } = part("settings").elements;
  return {
    style: style.value === "usual" ? null : style.value, era: era.value, saturation: Number(saturation.value), calm: Number(calm.value),
    size: size.value ? Number(size.value) : null, recolor: recolor.checked,
  };
}

async function tried(action) {
  try {
    await action();
  } catch (error) {
    problem(error.message);
  }
  await refresh();
}

const work = (item, task, wanted) => tried(() => ask(`/api/items/${item.id}/work`, { task, settings: wanted }));

async function showChoices() {
  const item = find(chosen), button = part("show-choices");
  button.disabled = true;
  button.textContent = "One moment …";
  try {
    const choices = await ask(`/api/items/${item.id}/choices`, { settings: settings() });
    choicesOf = item.id;
    part("choices").replaceChildren(...choices.map((choice) => choiceButton(item, choice)));
    render();
    part("choices").firstChild.focus();
  } catch (error) {
    problem(error.message);
  }
  button.disabled = false;
  button.textContent = "Show me some to choose from";
}

function choiceButton(item, { settings: chosenSettings, picture }) {
  const button = document.createElement("button"), image = document.createElement("img");
  const style = { natural: "Calm, ", vivid: "Lively, " }[chosenSettings.style] ?? "";
  button.type = "button";
  image.src = `/api/items/${item.id}/${picture}?t=${Date.now()}`;
  image.alt = "";
  button.append(image, `${style}${Math.round(chosenSettings.saturation * 100)} %`);
  button.addEventListener("click", () => {
    choicesOf = null;
    work(item, "colour", chosenSettings);
    part("show-choices").focus();
  });
  return button;
}

function changed() {
  tellNumbers();
  const item = find(chosen), wanted = settings();
  if (item.kind !== "photo") return;
  clearTimeout(settling.get(item.id));
  const sending = setTimeout(async () => {
    if (find(item.id)) await work(item, "colour", wanted);
    if (settling.get(item.id) === sending) settling.delete(item.id);
  }, SETTLE_MS);
  settling.set(item.id, sending);
}

// ---- problems ----

function problem(text, gone = false) {
  const list = part("problems");
  if (gone && list.querySelector("[data-gone]")) return;
  const line = document.createElement("li"), close = document.createElement("button");
  line.append(text);
  if (gone) line.dataset.gone = "";
  close.type = "button";
  close.textContent = "Close";
  close.className = "quiet";
  close.addEventListener("click", () => line.remove());
  line.append(close);
  list.append(line);
}

// ---- what the visitor does ----

async function add(files) {
  const first = state.items.length === 0;
  await addFiles([...files], state.max_upload, part("uploads"), problem, async (id) => {
    if (first && state.items.length === 0) chosen = id;
    await refresh();
  });
  await refresh();
}

part("files").addEventListener("change", (event) => {
  add(event.target.files);
  event.target.value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); part("drop").classList.add("over"); });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) part("drop").classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  part("drop").classList.remove("over");
  if (event.dataTransfer.files.length) add(event.dataTransfer.files);
});
window.addEventListener("beforeunload", (event) => { if (isUploading()) event.preventDefault(); });

part("before").addEventListener("load", () => part("compare").classList.remove("loading"));
part("cut").addEventListener("input", (event) => {
  const value = event.target.value;
  part("compare").style.setProperty("--cut", `${value}%`);
  event.target.setAttribute("aria-valuetext", `${value} % before, ${100 - value} % after`);
});
part("settings").addEventListener("input", changed);
part("settings").addEventListener("submit", (event) => event.preventDefault());
part("usual").addEventListener("click", () => {
  part("settings").reset();
  changed();
});
part("for-all").addEventListener("click", async () => {
  const wanted = settings(), press = ++forAll;
  for (const { id } of state.items.filter((other) => other.kind === "photo" && other.state !== "failed")) {
    await tried(() => patiently(async () => { // more than may wait take a while: meanwhile it may be removed, or all be pressed again
      const item = find(id);
      if (item && press === forAll) await ask(`/api/items/${id}/work`, { task: "colour", settings: { ...wanted, recolor: item.settings.recolor } });
    }));
  }
});
part("show-choices").addEventListener("click", showChoices);
part("choices-close").addEventListener("click", () => { choicesOf = null; render(); part("show-choices").focus(); });
part("show-doubt").addEventListener("change", render);
part("go").addEventListener("click", () => work(find(chosen), "colour", settings()));
part("stills-again").addEventListener("click", () => work(find(chosen), "stills", settings()));
part("cancel").addEventListener("click", () => tried(() => ask(`/api/items/${chosen}/cancel`, {})));
part("remove").addEventListener("click", () => tried(() => api(`/api/items/${chosen}`, { method: "DELETE" })));
part("forget").addEventListener("click", async () => {
  if (!confirm("Remove all photos, clips and results from this page?")) return;
  await ask("/api/forget", {});
  location.reload();
});
part("copy").addEventListener("click", async (event) => {
  const range = document.createRange();
  range.selectNodeContents(part("command"));
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  const copied = await navigator.clipboard?.writeText(part("command").textContent).then(() => true, () => false);
  part("news").textContent = copied ? "The command is copied." : "The command is marked: copy it with Ctrl-C.";
  event.target.textContent = copied ? "Copied" : "Marked: press Ctrl-C";
  setTimeout(() => { event.target.textContent = "Copy the command"; }, 3000);
});

refresh();
