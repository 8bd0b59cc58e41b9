// Requests to the server, whose errors are one line in words.

async function answerOf(response) {
  if (response.status === 401) {
    location.reload(); // to the log-in, or to a new beginning
    return new Promise(() => {});
  }
  const text = await response.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = { error: text };
  }
  if (!response.ok) throw Object.assign(new Error(body?.error ?? "The server did not understand."), { status: response.status });
  return body;
}

export async function api(address, options = {}) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("The program that runs this page does not answer. Was it ended?");
  }
  return answerOf(response);
}

export const ask = (address, body) => api(address, { method: "POST", body: JSON.stringify(body) });
