// The JavaScript around a capability: `host`, `console` and a little more, and how a run begins and ends.
// Evaluated once, while the engine is built. A program may break the globals that this uses; its own run is all it breaks.
(function (native) {
  const { parse, stringify } = JSON;
  const { isInteger, isSafeInteger, isFinite } = Number;
  const { isArray } = Array;
  const { freeze, fromEntries, defineProperty, getPrototypeOf } = Object;
  const test = Function.prototype.call.bind(RegExp.prototype.test);
  const tag = Function.prototype.call.bind(Object.prototype.toString);
  const FRAMES = 10;
  const SHOWN = 2000;
  const EXPONENT = 1e21; // from here on a number is written with an exponent, so nobody takes it for an exact integer

  class HostError extends Error {
    constructor(message = "", kind = "error") {
      super(message);
      this.kind = kind;
    }
  }
  defineProperty(HostError.prototype, "name", { value: "host.Error", configurable: true, writable: true });

  // JSON in

  const exactly = (key, value, { source }) => {
    if (typeof value === "number" && !isSafeInteger(value) && source !== undefined && test(/^-?\d+$/, source)) {
      throw new HostError(`the integer ${source} is too large for a number of JavaScript; pass it as text`, "number");
    }
    return value;
  };
  const read = (text) => (native.hasLongNumber(text) ? parse(text, exactly) : parse(text));

  // JSON out: what JSON.stringify would drop or garble is an error

  const LOST = [
    [Map, "a Map; use Object.fromEntries(map)"],
    [Set, "a Set; use [...set]"],
    [Promise, "a Promise; await it"],
    [RegExp, "a RegExp"],
    [Error, "an Error; throw it, or take its message"],
    [WeakMap, "a WeakMap"],
    [WeakSet, "a WeakSet"],
    [ArrayBuffer, "an ArrayBuffer; use [...new Uint8Array(buffer)]"],
    [getPrototypeOf(Uint8Array), "a typed array; use [...array]"],
    [DataView, "a DataView"],
  ];
  const strictly = function (key, value) {
    let problem;
    switch (typeof value) {
      case "number":
        if (!isFinite(value)) problem = `${value}`;
        else if (isInteger(value) && !isSafeInteger(value) && Math.abs(value) < EXPONENT)
          problem = `${value}, and a number of JavaScript holds no integer so large exactly; use String(bigint)`;
        break;
      case "bigint":
        problem = `the BigInt ${value}; use Number(value) or String(value)`;
        break;
      case "function":
        problem = "a function";
        break;
      case "symbol":
        problem = "a symbol";
        break;
      case "undefined":
        if (key === "") problem = "undefined; does `run` return its result?";
        else if (isArray(this)) problem = "undefined";
        break;
      case "object":
        if (value !== null && !isArray(value)) {
          const lost = LOST.find(([kind]) => value instanceof kind);
          if (lost) problem = lost[1];
        }
    }
    if (problem === undefined) return value;
    const where = key === "" ? "the result" : `the result's ${stringify(key)}`;
    throw new HostError(`${where} cannot be written as JSON: it is ${problem}`, "output");
  };
  const write = (value) => {
    let text;
    try {
      text = stringify(value, strictly);
    } catch (error) {
      if (error instanceof HostError || !(error instanceof TypeError) || !test(/circular/, error.message)) throw error;
      throw new HostError("the result cannot be written as JSON: it contains itself", "output");
    }
    if (text.includes("\\ud") && test(/(^|[^\\])(\\\\)*\\u[dD][89a-fA-F]/, text)) {
      throw new HostError("the result holds text that is not valid Unicode (a lone surrogate)", "output");
    }
    return text;
  };

  // host

  const request = (op, fields) => {
    const { ok, error, kind } = read(native.request(stringify({ op, ...fields })));
    if (error !== undefined) throw new HostError(error, kind);
    return ok;
  };
  const isBytes = (value) => value instanceof Uint8Array;
  const decode = (bytes) => native.decode(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const encode = (text) => new Uint8Array(native.encode(`${text}`));
  const content = (data) => (isBytes(data) ? { base64: data.toBase64() } : { text: `${data}` });
  const bytesOf = ({ text, base64 }) => (base64 === undefined ? encode(text) : Uint8Array.fromBase64(base64));

  const httpRequest = (method, url, headers = {}, body = null) => {
    if (isBytes(body)) {
      body = decode(body);
    } else if (body !== null && typeof body === "object") {
      body = stringify(body);
      headers = { "Content-Type": "application/json", ...headers };
    }
    return request("http.request", { method, url: `${url}`, headers: { ...headers }, body });
  };

  const host = {
    Error: HostError,
    call: (capability, input = {}) => request("call", { capability, input }),
    httpGet: (url, headers = {}) => httpRequest("GET", url, headers),
    httpRequest,
    sql: (store, statement, parameters = []) => request("sql.query", { store, statement, parameters }),
    readText: (path) => {
      const { text } = request("files.read", { path });
      if (text === undefined) throw new HostError(`${path} is not UTF-8 text; use host.readBytes`, "invalid");
      return text;
    },
    readBytes: (path) => bytesOf(request("files.read", { path })),
    writeText: (path, text) => void request("files.write", { path, text: `${text}` }),
    writeBytes: (path, bytes) => void request("files.write", { path, ...content(bytes) }),
    list: (path) => request("files.list", { path }),
    stat: (path) => request("files.stat", { path }),
    exists: (path) => {
      try {
        return request("files.stat", { path }) !== undefined;
      } catch (error) {
        if (error.kind === "not_found") return false;
        throw error;
      }
    },
    remove: (path) => void request("files.remove", { path }),
    rename: (path, to) => void request("files.rename", { path, to }),
    makeDirectory: (path) => void request("files.mkdir", { path }),
    removeDirectory: (path) => void request("files.rmdir", { path }),
    get env() {
      return fromEntries(native.environment().map((line) => line.split(/=([^]*)/, 2)));
    },
  };

  // console, and the few functions of the web that need nothing from outside

  const shown = (value) => {
    if (typeof value === "string") return value;
    if (typeof value === "bigint") return `${value}n`;
    if (value instanceof Error) return `${value}\n${frames(value)}`.trimEnd();
    if (value instanceof Map) return `Map ${shown([...value])}`;
    if (value instanceof Set) return `Set ${shown([...value])}`;
    try {
      const text = typeof value === "object" ? stringify(value) : undefined;
      return text === undefined ? String(value) : text;
    } catch {
      return tag(value);
    }
  };
  const log = (...values) => native.log(`${values.map(shown).join(" ")}\n`);

  class TextEncoder {
    encoding = "utf-8";
    encode = (text = "") => encode(text);
  }
  class TextDecoder {
    encoding = "utf-8";
    constructor(label = "utf-8") {
      if (!test(/^utf-?8$/i, label)) throw new RangeError(`there is no encoding ${label} but utf-8`);
    }
    decode = (data = new Uint8Array()) => {
      const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : data;
      return native.decode(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    };
  }

  const getRandomValues = (array) => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let at = 0; at < bytes.length; at += 256) {
      bytes.set(new Uint8Array(native.randomBytes(Math.min(256, bytes.length - at))), at);
    }
    return array;
  };
  const randomUUID = () => {
    const bytes = getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  };

  const define = (object, name, value) =>
    defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
  define(globalThis, "host", freeze(host));
  define(globalThis, "console", { log, info: log, debug: log, warn: log, error: log, trace: log });
  define(globalThis, "TextEncoder", TextEncoder);
  define(globalThis, "TextDecoder", TextDecoder);
  define(globalThis, "crypto", freeze({ getRandomValues, randomUUID }));
  define(Math, "random", native.random);
  delete globalThis.performance; // its origin would be the moment at which the engine was built

  // A run

  const unhandled = new Map();
  const track = (promise, reason, isHandled) => {
    if (isHandled) unhandled.delete(promise);
    else unhandled.set(promise, reason);
  };

  let outcome;
  const perform = async (loaded, namespace, text) => {
    await loaded;
    const { run } = namespace;
    if (typeof run !== "function") throw new HostError("the program exports no function `run(input)`", "contract");
    return write(await run(read(text)));
  };
  const execute = (loaded, namespace, text) => {
    perform(loaded, namespace, text).then(
      (output) => (outcome = { output }),
      (error) => (outcome = { error }),
    );
  };
  const finish = () => {
    if (outcome === undefined) throw new HostError("the program waits for something that never happens", "contract");
    if ("error" in outcome) throw outcome.error;
    for (const reason of unhandled.values()) throw reason; // a promise failed, and nobody awaited it
    return outcome.output;
  };

  // A failure: the stack for people, then one line for the host

  const frames = (error) =>
    String(error.stack ?? "")
      .split("\n")
      .filter((line) => line.includes("capability.js"))
      .slice(0, FRAMES)
      .join("\n");
  const described = (error) => {
    if (error instanceof HostError) return { error: `${error.message}` || "error", kind: `${error.kind}` };
    if (!(error instanceof Error)) return { error: `the program threw ${shown(error)}`, kind: "Error" };
    const [name, message] = [`${error.name}`, `${error.message}`];
    if (name === "InternalError" && message === "out of memory") return { error: message, kind: "MemoryError" };
    return { error: message || name, kind: name };
  };
  const failure = (error) => {
    let report = { error: "the program failed, and its error cannot be shown", kind: "Error" };
    try {
      if (error instanceof Error) native.log(`${`${error.name}: ${error.message}\n${frames(error)}`.trimEnd().slice(0, SHOWN)}\n`);
      report = described(error);
    } catch {}
    return `${stringify(report)}\n`;
  };

  return { execute, finish, failure, track };
});
