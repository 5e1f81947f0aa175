/* The guest side of the JavaScript engine: QuickJS with a few functions around it.
 *
 * `build.py` compiles this, calls `initialize` once with prelude.js, and keeps the memory as it is then as the image
 * from which every run starts. A run is `allocate`, the bytecode written there by the host, and `run`. What a program
 * sees comes from WASI, as in any other capability: input on stdin, output on stdout, what it printed on stderr. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#include "quickjs.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("metier"), import_name(name)))
#define FILE_NAME "capability.js"
#define CHUNK 65536
/* Bytes of the C stack that JavaScript may use. The native stack of the frames above it is some times larger, and this
 * is small enough for it to last: then recursion without end is an exception of the language on every host. */
#define STACK_BYTES (850 * 1024)
#define GC_BYTES (4 * 1024 * 1024)
/* Digits from which on an integer may be one that a double cannot hold. */
#define LONG_NUMBER 16

IMPORT("call") int32_t metier_call(const char *request, size_t size);
IMPORT("read") void metier_read(char *answer);

static JSRuntime *runtime;
static JSContext *context;
static JSValue execute, finish, failure, track;
static uint64_t random_state[2];

/* Streams */

static void write_all(int descriptor, const char *data, size_t size)
{
    while (size > 0) {
        __wasi_ciovec_t part = {(const uint8_t *)data, size};
        __wasi_size_t written = 0;
        if (__wasi_fd_write(descriptor, &part, 1, &written) != 0 || written == 0)
            return;
        data += written;
        size -= written;
    }
}

/* Everything on stdin, with a zero behind it. NULL where there is no memory for it. */
static char *read_input(size_t *size)
{
    size_t room = CHUNK;
    char *data = malloc(room + 1);
    *size = 0;
    while (data != NULL) {
        __wasi_iovec_t part = {(uint8_t *)data + *size, room - *size};
        __wasi_size_t got = 0;
        if (__wasi_fd_read(0, &part, 1, &got) != 0 || got == 0) {
            data[*size] = 0;
            return data;
        }
        *size += got;
        if (*size == room) {
            char *larger = realloc(data, 2 * room + 1);
            if (larger == NULL)
                free(data);
            data = larger;
            room *= 2;
        }
    }
    return NULL;
}

static _Noreturn void out_of_memory(void)
{
    static const char report[] = "{\"error\":\"out of memory\",\"kind\":\"MemoryError\"}\n";
    write_all(2, report, sizeof report - 1);
    __wasi_proc_exit(1);
}

/* Ends the program with the failure that `error` stands for. Frees nothing: the instance ends here. */
static _Noreturn void fail(JSValue error)
{
    JSValue report = JS_Call(context, failure, JS_UNDEFINED, 1, &error);
    size_t size;
    const char *text = JS_IsException(report) ? NULL : JS_ToCStringLen(context, &size, report);
    if (text == NULL)
        out_of_memory();
    write_all(2, text, size);
    __wasi_proc_exit(1);
}

static JSValue checked(JSValue value)
{
    if (JS_IsException(value))
        fail(JS_GetException(context));
    return value;
}

/* What prelude.js gets as `native` */

static JSValue native_request(JSContext *ctx, JSValueConst self, int count, JSValueConst *arguments)
{
    size_t size;
    const char *request = JS_ToCStringLen(ctx, &size, arguments[0]);
    if (request == NULL)
        return JS_EXCEPTION;
    size_t answer_size = (uint32_t)metier_call(request, size);
    JS_FreeCString(ctx, request);
    char *answer = js_malloc(ctx, answer_size + 1);
    if (answer == NULL)
        return JS_EXCEPTION;
    metier_read(answer);
    JSValue text = JS_NewStringLen(ctx, answer, answer_size);
    js_free(ctx, answer);
    return text;
}

static JSValue native_log(JSContext *ctx, JSValueConst self, int count, JSValueConst *arguments)
{
    size_t size;
    const char *text = JS_ToCStringLen(ctx, &size, arguments[0]);
    if (text == NULL)
        return JS_EXCEPTION;
    write_all(2, text, size);
    JS_FreeCString(ctx, text);
    return JS_UNDEFINED;
}

/* xorshift128+ over a seed that is the run's own. */
static JSValue native_random(JSContext *ctx, JSValueConst self, int count, JSValueConst *arguments)
{
    while ((random_state[0] | random_state[1]) == 0)
        if (__wasi_random_get((uint8_t *)random_state, sizeof random_state) != 0)
            return JS_ThrowInternalError(ctx, "there is no randomness");
    uint64_t x = random_state[0], y = random_state[1];
    random_state[0] = y;
    x ^= x << 23;
    random_state[1] = x ^ y ^ (x >> 17) ^ (y >> 26);
    return JS_NewFloat64(ctx, (double)((random_state[1] + y) >> 11) * 0x1p-53);
}

static JSValue native_random_bytes(JSContext *ctx, JSValueConst self, int count, JSValueConst *arguments)
{
    uint8_t bytes[256];
    uint32_t size;
    if (JS_ToUint32(ctx, &size, arguments[0]))
        return JS_EXCEPTION;
    if (size > sizeof bytes || __wasi_random_get(bytes, size) != 0)
        return JS_ThrowRangeError(ctx, "at most 256 random bytes at once");
    return JS_NewArrayBufferCopy(ctx, bytes, size);
}

static JSValue native_encode(JSContext *ctx, JSValueConst self, int count, JSValueConst *arguments)
{
    size_t size;
    const char *text = JS_ToCStringLen(ctx, &size, arguments[0]);
    if (text == NULL)
        return JS_EXCEPTION;
    JSValue buffer = JS_NewArrayBufferCopy(ctx, (const uint8_t *)text, size);
    JS_FreeCString(ctx, text);
    return buffer;
}

/* (buffer, offset, size) → the text that the bytes are as UTF-8. */
static JSValue native_decode(JSContext *ctx, JSValueConst self, int count, JSValueConst *arguments)
{
    size_t whole;
    uint32_t offset, size;
    const uint8_t *bytes = JS_GetArrayBuffer(ctx, &whole, arguments[0]);
    if ((bytes == NULL && whole > 0) || JS_ToUint32(ctx, &offset, arguments[1]) || JS_ToUint32(ctx, &size, arguments[2]))
        return JS_EXCEPTION;
    if (offset > whole || size > whole - offset)
        return JS_ThrowRangeError(ctx, "outside of the buffer");
    return JS_NewStringLen(ctx, (const char *)bytes + offset, size);
}

/* Whether a text has so many digits in a row that a number in it may be too long for a double. */
static JSValue native_has_long_number(JSContext *ctx, JSValueConst self, int count, JSValueConst *arguments)
{
    size_t size;
    int digits = 0;
    const char *text = JS_ToCStringLen(ctx, &size, arguments[0]);
    if (text == NULL)
        return JS_EXCEPTION;
    for (size_t i = 0; i < size && digits < LONG_NUMBER; i++)
        digits = text[i] >= '0' && text[i] <= '9' ? digits + 1 : 0;
    JS_FreeCString(ctx, text);
    return JS_NewBool(ctx, digits >= LONG_NUMBER);
}

/* The environment as [name=value, …]. */
static JSValue native_environment(JSContext *ctx, JSValueConst self, int count, JSValueConst *arguments)
{
    __wasi_size_t variables = 0, size = 0;
    JSValue list = JS_NewArray(ctx);
    if (__wasi_environ_sizes_get(&variables, &size) != 0 || variables == 0)
        return list;
    uint8_t **pointers = js_malloc(ctx, variables * sizeof *pointers), *text = js_malloc(ctx, size);
    if (pointers != NULL && text != NULL && __wasi_environ_get(pointers, text) == 0)
        for (uint32_t i = 0; i < variables; i++)
            JS_SetPropertyUint32(ctx, list, i, JS_NewString(ctx, (const char *)pointers[i]));
    js_free(ctx, pointers);
    js_free(ctx, text);
    return list;
}

static const JSCFunctionListEntry native_functions[] = {
    JS_CFUNC_DEF("request", 1, native_request),
    JS_CFUNC_DEF("log", 1, native_log),
    JS_CFUNC_DEF("random", 0, native_random),
    JS_CFUNC_DEF("randomBytes", 1, native_random_bytes),
    JS_CFUNC_DEF("encode", 1, native_encode),
    JS_CFUNC_DEF("decode", 3, native_decode),
    JS_CFUNC_DEF("hasLongNumber", 1, native_has_long_number),
    JS_CFUNC_DEF("environment", 0, native_environment),
};

/* Modules: there is one to import, `host` */

static JSModuleDef *load_module(JSContext *ctx, const char *name, void *opaque)
{
    static const char source[] = "const host = globalThis.host; export default host; export const { Error, call, "
                                 "httpGet, httpRequest, sql, readText, readBytes, writeText, writeBytes, list, stat, "
                                 "exists, remove, rename, makeDirectory, removeDirectory, env } = host;";
    if (strcmp(name, "host") != 0) {
        JS_ThrowReferenceError(ctx, "there is no module '%s' to import; `host` and what ECMAScript has is all there is",
                               name);
        return NULL;
    }
    JSValue module = JS_Eval(ctx, source, sizeof source - 1, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(module))
        return NULL;
    JSModuleDef *found = JS_VALUE_GET_PTR(module);
    JS_FreeValue(ctx, module);
    return found;
}

static char *same_name(JSContext *ctx, const char *base, const char *name, void *opaque)
{
    return js_strdup(ctx, name);
}

static void on_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool is_handled, void *opaque)
{
    JSValueConst arguments[] = {promise, reason, JS_NewBool(ctx, is_handled)};
    JS_FreeValue(ctx, JS_Call(ctx, track, JS_UNDEFINED, 3, arguments));
}

/* What the host calls */

EXPORT("allocate") void *allocate(size_t size)
{
    void *data = malloc(size + 1);
    if (data == NULL)
        out_of_memory();
    return data;
}

EXPORT("initialize") void initialize(char *prelude, size_t size)
{
    prelude[size] = 0;
    runtime = JS_NewRuntime();
    JS_SetMaxStackSize(runtime, STACK_BYTES);
    JS_SetGCThreshold(runtime, GC_BYTES);
    JS_SetModuleLoaderFunc(runtime, same_name, load_module, NULL);
    context = JS_NewContext(runtime);
    JSValue native = JS_NewObject(context);
    JS_SetPropertyFunctionList(context, native, native_functions, sizeof native_functions / sizeof *native_functions);
    JSValue setup = JS_Eval(context, prelude, size, "prelude.js", JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_STRICT);
    JSValue made = JS_Call(context, setup, JS_UNDEFINED, 1, &native);
    if (JS_IsException(made)) {
        JSValue error = JS_GetException(context);
        const char *text = JS_ToCString(context, error);
        write_all(2, text, strlen(text));
        abort();
    }
    execute = JS_GetPropertyStr(context, made, "execute");
    finish = JS_GetPropertyStr(context, made, "finish");
    failure = JS_GetPropertyStr(context, made, "failure");
    track = JS_GetPropertyStr(context, made, "track");
    JS_FreeValue(context, setup);
    JS_FreeValue(context, made);
    JS_FreeValue(context, native);
    JS_SetHostPromiseRejectionTracker(runtime, on_rejection, NULL);
    free(prelude);
    JS_RunGC(runtime);
}

/* Runs what is waiting in the job queue, to its end. */
static void run_jobs(void)
{
    int done;
    do {
        done = JS_ExecutePendingJob(runtime, NULL);
        if (done < 0)
            fail(JS_GetException(context));
    } while (done > 0);
}

static JSValue input_text(void)
{
    size_t size;
    char *input = read_input(&size);
    if (input == NULL)
        out_of_memory();
    JSValue text = checked(JS_NewStringLen(context, input, size));
    free(input);
    return text;
}

/* Ends with the output on stdout, or with status 1 and the failure on stderr. */
EXPORT("run") void run(uint8_t *code, size_t size)
{
    JS_UpdateStackTop(runtime);
    JSValue module = checked(JS_ReadObject(context, code, size, JS_READ_OBJ_BYTECODE));
    if (JS_VALUE_GET_TAG(module) != JS_TAG_MODULE)
        fail(JS_NewError(context));
    JSModuleDef *definition = JS_VALUE_GET_PTR(module);
    if (JS_ResolveModule(context, module) < 0)
        fail(JS_GetException(context));
    JSValue loaded = checked(JS_EvalFunction(context, module));
    JSValue arguments[] = {loaded, checked(JS_GetModuleNamespace(context, definition)), input_text()};
    checked(JS_Call(context, execute, JS_UNDEFINED, 3, arguments));
    run_jobs();
    JSValue output = checked(JS_Call(context, finish, JS_UNDEFINED, 0, NULL));
    size_t output_size;
    const char *text = JS_ToCStringLen(context, &output_size, output);
    if (text == NULL)
        out_of_memory();
    write_all(1, text, output_size);
}

/* Compiles a text as a module. A syntax error ends the program, unless `may_fail`. */
static JSValue compiled(const char *source, size_t size, bool may_fail)
{
    JSValue module =
        JS_Eval(context, source, size, FILE_NAME, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    return may_fail ? module : checked(module);
}

/* Source on stdin to bytecode on stdout. A function `run` that is not exported is, in the bytecode. */
EXPORT("compile") void compile(void)
{
    static const char suffix[] = "\nexport { run };";
    JS_UpdateStackTop(runtime);
    size_t size;
    char *source = read_input(&size);
    char *exporting = source == NULL ? NULL : malloc(size + sizeof suffix);
    if (exporting == NULL)
        out_of_memory();
    JSValue module = compiled(source, size, false);
    memcpy(exporting, source, size);
    memcpy(exporting + size, suffix, sizeof suffix);
    JSValue exported = compiled(exporting, size + sizeof suffix - 1, true);
    if (JS_IsException(exported)) {
        JSValue error = JS_GetException(context);
        const char *message = JS_ToCString(context, JS_GetPropertyStr(context, error, "message"));
        if (message == NULL || strcmp(message, "duplicate exported name 'run'") != 0)
            fail(JS_NewSyntaxError(context, "%s", "the program needs a function `export function run(input)`"));
    } else {
        module = exported;
    }
    if (JS_ResolveModule(context, module) < 0)
        fail(JS_GetException(context));
    uint8_t *code = JS_WriteObject(context, &size, module, JS_WRITE_OBJ_BYTECODE | JS_WRITE_OBJ_STRIP_SOURCE);
    if (code == NULL)
        fail(JS_GetException(context));
    write_all(1, (const char *)code, size);
}
