// Files on their way to the server, one after the other.

import { api } from "./api.js";

const RETRY_MS = 2000;
const pause = () => new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
let waiting = 0;

export const uploading = () => waiting;
export const isUploading = () => waiting > 0;

function send(file, tell) {
  // XMLHttpRequest tells how much has been sent; fetch does not.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/files?name=${encodeURIComponent(file.name)}`);
    request.upload.addEventListener("progress", (event) => tell(event.loaded / Math.max(1, event.total)));
    request.addEventListener("load", () => {
      let body = {};
      try { body = JSON.parse(request.responseText); } catch { /* told below */ }
      if (request.status === 201) resolve(body.id);
      else reject(Object.assign(new Error(body.error ?? `${file.name} was not taken.`), { status: request.status }));
    });
    request.addEventListener("error", () => reject(new Error(`${file.name} could not be sent.`)));
    request.send(file);
  });
}

// Sends again, later, what the server does not take yet because too much is waiting.
export async function patiently(sends) {
  for (;;) {
    try {
      return await sends();
    } catch (error) {
      if (error.status !== 429) throw error;
      await pause();
    }
  }
}

const sendPatiently = (file, tell) => patiently(async () => {
  while ((await api("/api/state")).full) await pause(); // others first
  return send(file, tell);
});

let last = Promise.resolve();

// Sends files, shows each in `list`, and calls `done` with the id of each that was taken, `problem` for others.
export function addFiles(files, mostMegabytes, list, problem, done) {
  const jobs = files.map((file) => {
    const line = document.createElement("li"), bar = document.createElement("progress");
    bar.value = 0;
    bar.setAttribute("aria-label", `Sending ${file.name}`);
    line.append(`${file.name} `, bar);
    list.append(line);
    return { file, line, bar };
  });
  waiting += jobs.length;
  last = last.then(async () => {
    for (const { file, line, bar } of jobs) {
      try {
        if (file.size > mostMegabytes * 1e6) {
          throw new Error(`${file.name} is larger than ${mostMegabytes.toLocaleString("en")} MB, the most that this page takes.`);
        }
        await done(await sendPatiently(file, (share) => { bar.value = share; }));
      } catch (error) {
        problem(error.message);
      }
      line.remove();
      waiting -= 1;
    }
  });
  return last;
}
