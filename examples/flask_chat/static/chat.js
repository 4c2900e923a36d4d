// The page of a chat. Whatever a model, a tool or a user says is put in as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const csrf = document.querySelector("meta[name=csrf-token]").content;
let source = null;

async function post(path, body) {
  const sent = fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body || {}),
  });
  const response = await sent.catch(() => {
    throw new Error("The chat cannot be reached just now. Please try again.");
  });
  if (!response.ok) throw new Error((await reason(response)) || `Error ${response.status}`);
  return response.status === 204 ? null : response.json();
}

// What an answer says went wrong: in JSON, or in a page, as Flask and proxies write it.
async function reason(response) {
  if ((response.headers.get("Content-Type") || "").startsWith("application/json")) return (await response.json()).message;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return (page.querySelector("p") || page.body).textContent.trim();
}

// -- what is shown ------------------------------------------------------------------------------

function fromTemplate(name) {
  return byId(`${name}-template`).content.firstElementChild.cloneNode(true);
}

function show(parent, element) {
  const main = document.scrollingElement;
  const following = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
  if (element) parent.append(element);
  byId("welcome").hidden = true;
  if (following) requestAnimationFrame(() => main.scrollTo(0, main.scrollHeight));
}

function elementOf(parent, name, id) {
  const found = [...parent.querySelectorAll(`[data-id]`)].find((element) => element.dataset.id === id);
  if (found) return found;
  const element = fromTemplate(name);
  element.dataset.id = id;
  parent.append(element);
  return element;
}

function userMessage(text) {
  const element = fromTemplate("message");
  element.classList.add("human");
  element.querySelector(".text").textContent = text;
  show(byId("messages"), element);
}

function draw(message) {
  const element = elementOf(byId("messages"), "message", message.id);
  element.className = `message ${message.type} ${message.status}`;
  element.querySelector(".text").textContent = message.text;
  const reasoning = element.querySelector(".reasoning");
  reasoning.hidden = !message.reasoning;
  // What is thought is shown while there is nothing else to see.
  const thinking = message.status === "streaming" && !message.text && !message.calls.size;
  if (thinking !== element.thinking) reasoning.open = thinking;
  element.thinking = thinking;
  reasoning.querySelector("p").textContent = message.reasoning;
  const name = element.querySelector(".name");
  name.hidden = !message.name;
  name.textContent = message.name || "";
  for (const [id, call] of message.calls) {
    const shown = elementOf(element.querySelector(".calls"), "call", id);
    shown.querySelector(".call-name").textContent = call.name || "";
    shown.querySelector(".call-args").textContent = call.args;
  }
  show();
}

function ask(value) {
  const element = fromTemplate("question");
  const isObject = value !== null && typeof value === "object";
  const asked = (isObject && (value.question || value.q)) || value;
  element.querySelector(".question-text").textContent = typeof asked === "string" ? asked : JSON.stringify(asked);
  const details = element.querySelector(".question-details");
  details.hidden = !(isObject && value.args);
  details.textContent = isObject && value.args ? JSON.stringify(value.args, null, 2) : "";
  show(byId("messages"), element);
}

function say(status) {
  byId("status").textContent = status;
}

function busy(is) {
  byId("send").hidden = is;
  byId("stop").hidden = !is;
  byId("stop").disabled = false;
  document.body.classList.toggle("busy", is);
}

// -- a run --------------------------------------------------------------------------------------

// What a message has come to, by the rules of the events: what is whole takes the place of what was gathered.
function grown(before, change) {
  const message = before || { text: "", reasoning: "", calls: new Map() };
  const { id, type, status, name, delta } = change;
  Object.assign(message, { id, type, status, name });
  message.text = change.text ?? message.text + (delta.text || "");
  message.reasoning = change.reasoning ?? message.reasoning + (delta.reasoning || "");
  for (const [call, args] of Object.entries(delta.tool_args || {})) {
    const known = message.calls.get(call) || { name: (change.tool_names || {})[call], args: "" };
    known.args += args;
    message.calls.set(call, known);
  }
  for (const call of change.tool_calls || []) {
    message.calls.set(call.id, { name: call.name, args: JSON.stringify(call.args) });
  }
  return message;
}

function follow(run) {
  const messages = new Map();
  busy(true);
  say("Thinking …");
  document.body.dataset.run = run;
  // After a cut the browser connects again by itself, and says which event it had last.
  source = new EventSource(`/runs/${encodeURIComponent(run)}/events`);
  source.onopen = () => say("Thinking …");
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) end("The connection was lost. Reload the page to see the answer.");
    else say("The connection was cut, connecting again …");
  };
  source.onmessage = (event) => {
    say("");
    for (const change of JSON.parse(event.data).messages || []) {
      messages.set(change.id, grown(messages.get(change.id), change));
      draw(messages.get(change.id));
    }
  };
  source.addEventListener("interrupt", (event) => {
    for (const interrupt of JSON.parse(event.data).interrupts) ask(interrupt.value);
  });
  source.addEventListener("failure", (event) => say(JSON.parse(event.data).message));
  source.addEventListener("end", (event) => {
    const outcome = JSON.parse(event.data).outcome;
    end({ success: "", interrupted: "", cancelled: "Stopped." }[outcome]);
  });
}

function end(status) {
  source.close();
  busy(false);
  document.body.dataset.run = "";
  if (status !== undefined) say(status);
  byId("text").focus();
}

async function start(path, body) {
  try {
    follow((await post(path, body)).run_id);
    return true;
  } catch (error) {
    say(error.message);
    return false;
  }
}

// -- what the user does -------------------------------------------------------------------------

const text = byId("text");

byId("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (!said || document.body.dataset.run) return;
  if (await start("/messages", { text: said, assistant: byId("assistant").value })) {
    for (const question of document.querySelectorAll(".question")) question.remove();
    userMessage(said);
    text.value = "";
    fit();
  }
});

text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("say").requestSubmit();
});

function fit() {
  text.rows = Math.min(6, text.value.split("\n").length);
}
text.addEventListener("input", fit);

async function answer(question, said) {
  if (await start("/answers", { text: said })) question.remove();
}

byId("messages").addEventListener("submit", (event) => {
  event.preventDefault();
  answer(event.target, event.target.elements.text.value);
});

byId("messages").addEventListener("click", (event) => {
  const said = event.target.dataset.answer;
  if (said) answer(event.target.closest("form"), said);
});

byId("stop").addEventListener("click", async () => {
  byId("stop").disabled = true;
  try {
    await post(`/runs/${encodeURIComponent(document.body.dataset.run)}/cancel`);
  } catch (error) {
    byId("stop").disabled = false;
    say(error.message);
  }
});

byId("new").addEventListener("click", async () => {
  try {
    if (document.body.dataset.run) await post(`/runs/${encodeURIComponent(document.body.dataset.run)}/cancel`);
    await post("/new");
    location.reload();
  } catch (error) {
    say(error.message);
  }
});

window.scrollTo(0, document.scrollingElement.scrollHeight);
if (document.body.dataset.run) follow(document.body.dataset.run);
else text.focus();
