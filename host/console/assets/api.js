// api: the administration's HTTP API, and what is asked again and again.

export class ApiError extends Error {
  constructor(status, message, body) {
    super(message);
    this.status = status; // 0: no response
    this.body = body;
  }
}

/** Of "signed-out", "reached" and "lost" events. */
export const events = new EventTarget();

const TIMEOUT_MS = 20000;

async function send(method, path, { headers, timeoutMs = TIMEOUT_MS, signal } = {}) {
  const limits = [AbortSignal.timeout(timeoutMs), signal].filter(Boolean);
  try {
    const response = await fetch(path, {
      method, headers, signal: AbortSignal.any(limits), cache: "no-store", redirect: "error",
      credentials: "same-origin",
    });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    if (signal?.aborted) throw error;
    events.dispatchEvent(new Event("lost"));
    throw new ApiError(0, error.name === "TimeoutError"
      ? `The program did not answer within ${timeoutMs / 1000} seconds.`
      : "The program cannot be reached.");
  }
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The parsed response. Throws an ApiError for a status of 400 and above, with what the program says. */
export async function call(method, path, options) {
  const { status, text } = await send(method, path, options);
  const body = read(text);
  events.dispatchEvent(new Event("reached"));
  if (status === 401 && !options?.headers) events.dispatchEvent(new Event("signed-out"));
  if (status >= 400) throw new ApiError(status, body?.error ?? `The program answered ${status}.`, body);
  if (body === null) throw new ApiError(status, "The program's response is no JSON.");
  return body;
}

export const get = (path, options) => call("GET", path, options);
export const post = (path, options) => call("POST", path, options);

/** The query of an URL; empty values are left out. */
export function query(values) {
  const pairs = Object.entries(values).filter(([, v]) => v !== "" && v !== undefined && v !== null);
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}

/** Numbers requests whose responses can overtake each other. Each call begins one, and returns a function
 * that says whether it is still the last that began. */
export function turns() {
  let last = 0;
  return () => {
    const mine = ++last;
    return () => mine === last;
  };
}

/** Asks again every `everyMs` while the page is visible, and at once when it becomes visible. A page
 * in the background asks nothing, so that its session ends when it is left. take(answer) and
 * failed(error) are not called once it is stopped: a response can arrive later. Returns {stop, again}. */
export function poll(ask, everyMs, take, failed = () => {}) {
  let timer, stopped = false, running = false;
  const turn = async () => {
    clearTimeout(timer);
    if (stopped || running || document.hidden) return;
    running = true;
    try {
      const answer = await ask();
      if (!stopped) take(answer);
    } catch (error) {
      if (!stopped) failed(error);
      if (!(error instanceof ApiError) && error.name !== "AbortError") console.error(error);
    }
    running = false;
    if (!stopped) timer = setTimeout(turn, everyMs);
  };
  const onVisible = () => { if (!document.hidden) turn(); };
  document.addEventListener("visibilitychange", onVisible);
  turn();
  return {
    again: turn,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    },
  };
}

// ---- what every page shows: status and figures ------------------------------------------------------

const KEPT = 720;

/** The newest status and the last hour's figures. */
export const live = {
  status: null, statusAt: 0,
  figures: null, // {interval_s, last, at, series}
  lost: null, // when the program was last reached, if it is not now
};

export const listeners = new Set();
const notify = () => listeners.forEach((listener) => listener());

function keepFigures(fresh) {
  const held = live.figures;
  const follows = held && fresh.first === held.last + 1 && fresh.last >= held.last;
  if (held && fresh.last === held.last && Date.parse(fresh.at) === Date.parse(held.at)) return;
  for (const [name, values] of Object.entries(fresh.series)) {
    fresh.series[name] = follows ? [...held.series[name], ...values].slice(-KEPT) : values;
  }
  live.figures = fresh;
}

async function askFigures() {
  const held = live.figures;
  const fresh = await get(`/admin/figures${query({ after: held?.last })}`);
  // A program that was restarted counts from 1 again.
  return held && fresh.last < held.last ? get("/admin/figures") : fresh;
}

let polls = [];

export function startLive() {
  stopLive();
  polls = [
    poll(() => get("/admin/status"), 5000, (status) => {
      live.status = status;
      live.statusAt = Date.now();
      notify();
    }),
    poll(askFigures, 2500, (fresh) => {
      keepFigures(fresh);
      notify();
    }),
  ];
}

export function stopLive() {
  polls.forEach((one) => one.stop());
  polls = [];
}

export const askLiveAgain = () => polls.forEach((one) => one.again());

events.addEventListener("lost", () => {
  live.lost ??= live.statusAt || Date.now();
  notify();
});
events.addEventListener("reached", () => {
  if (live.lost !== null) {
    live.lost = null;
    notify();
  }
});
