#include "terminal.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "ascii.h"
#include "utf8.h"

/* ---- text ---------------------------------------------------------------------------------- */

static uint32_t terminal_decode_sequence(const char *text, size_t len) {
    const unsigned char *b = (const unsigned char *)text;
    uint32_t code = len == 1 ? b[0] : b[0] & (0x7FU >> len);
    for (size_t i = 1; i < len; i++) {
        code = code << 6 | (b[i] & 0x3FU);
    }
    return code;
}

/* C0 but tab and newline, DEL, C1. */
static bool terminal_is_control(uint32_t code) {
    return (code < 0x20 && code != '\t' && code != '\n') || (code >= 0x7F && code <= 0x9F);
}

/* The controls of the Unicode bidirectional algorithm. */
static bool terminal_is_bidirectional(uint32_t code) {
    return code == 0x061C || code == 0x200E || code == 0x200F ||
           (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

/* Soft hyphen, zero-width space, line and paragraph separators, byte-order mark, tags. */
static bool terminal_is_invisible(uint32_t code) {
    return code == 0x00AD || code == 0x200B || code == 0x2028 || code == 0x2029 || code == 0xFEFF ||
           (code >= 0xE0000 && code <= 0xE007F);
}

/* In JSON's form: above U+FFFF two surrogates. */
static void terminal_append_escaped(struct buffer *out, uint32_t code) {
    if (code > 0xFFFF) {
        buffer_append_format(out, "\\u%04X", 0xD800 + ((code - 0x10000) >> 10));
        code = 0xDC00 + ((code - 0x10000) & 0x3FF);
    }
    buffer_append_format(out, "\\u%04X", code);
}

/* True if further bytes could complete a well-formed sequence. */
static bool terminal_is_cut(const char *text, size_t len) {
    unsigned char first = (unsigned char)text[0];
    size_t want = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80) {
            return false;
        }
    }
    return first <= 0xF4 && len < want;
}

size_t terminal_append(struct buffer *out, struct slice text) {
    size_t at = 0;
    while (at < text.len) {
        size_t plain = ascii_json_run(text.data + at, text.len - at);
        const char *del = memchr(text.data + at, 0x7F, plain);
        plain = del ? (size_t)(del - text.data) - at : plain;
        buffer_append(out, text.data + at, plain);
        at += plain;
        if (at == text.len) {
            break;
        }
        size_t len = utf8_sequence(text.data + at, text.len - at);
        if (len == 0 && terminal_is_cut(text.data + at, text.len - at)) {
            return at;
        }
        uint32_t code = len > 0 ? terminal_decode_sequence(text.data + at, len) : 0;
        if (len == 0) {
            buffer_append_format(out, "\\x%02X", (unsigned char)text.data[at]);
        } else if (terminal_is_control(code) || terminal_is_bidirectional(code) ||
                   terminal_is_invisible(code)) {
            terminal_append_escaped(out, code);
        } else {
            buffer_append(out, text.data + at, len);
        }
        at += len > 0 ? len : 1;
    }
    return text.len;
}

bool terminal_print(FILE *out, struct slice text) {
    struct buffer shown = {0};
    terminal_append(&shown, text);
    bool ok = fwrite(buffer_slice(&shown).data, 1, shown.len, out) == shown.len && fflush(out) == 0;
    buffer_free(&shown);
    return ok;
}

/* ---- streams ------------------------------------------------------------------------------- */

static struct guard {
    int fd;
    char held[4]; /* a sequence that is still incomplete */
    size_t held_len;
} guards[] = {{.fd = STDOUT_FILENO}, {.fd = STDERR_FILENO}};

static int terminal_failure; /* errno of the first write of standard output that failed; 0: none */

static bool terminal_write_whole(int fd, struct slice text) {
    while (text.len > 0) {
        ssize_t written = write(fd, text.data, text.len);
        if (written < 0 && errno != EINTR) {
            if (fd == STDOUT_FILENO && terminal_failure == 0) {
                terminal_failure = errno;
            }
            return false;
        }
        size_t done = written > 0 ? (size_t)written : 0;
        text = (struct slice){text.data + done, text.len - done};
    }
    return true;
}

/* fopencookie(3): 0 is an error, with errno. */
static ssize_t terminal_guard_write(void *cookie, const char *data, size_t len) {
    struct guard *guard = cookie;
    struct buffer in = {0}, out = {0};
    buffer_append(&in, guard->held, guard->held_len);
    buffer_append(&in, data, len);
    size_t taken = terminal_append(&out, buffer_slice(&in));
    guard->held_len = in.len - taken;
    memcpy(guard->held, in.data + taken, guard->held_len);
    bool ok = terminal_write_whole(guard->fd, buffer_slice(&out));
    buffer_free(&in);
    buffer_free(&out);
    return ok ? (ssize_t)len : 0;
}

static FILE *terminal_guard_stream(struct guard *guard, int buffering) {
    static const cookie_io_functions_t functions = {.write = terminal_guard_write};
    FILE *stream = fopencookie(guard, "w", functions);
    return stream && setvbuf(stream, NULL, buffering, BUFSIZ) == 0 ? stream : NULL;
}

bool terminal_finish_output(void) {
    bool ok = fflush(stdout) == 0 && !ferror(stdout);
    errno = terminal_failure ? terminal_failure : errno;
    return ok;
}

bool terminal_guard_output(struct err *err) {
    FILE *out = terminal_guard_stream(&guards[0], isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
    FILE *errors = terminal_guard_stream(&guards[1], _IOLBF);
    if (!out || !errors || fflush(stdout) != 0) {
        return err_set(err, ERR_INTERNAL, "cannot print: %s", strerror(errno));
    }
    stdout = out; /* glibc: stdout and stderr are variables (stdio manual, "Standard Streams") */
    stderr = errors;
    return true;
}
