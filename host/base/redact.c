/* redact: secrets are in lists that only grow, so that readers need no lock; one list for each
 * first byte, so that old rotated passwords cost readers nothing. */
#include "redact.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "hex.h"
#include "xalloc.h"

#define SHORTEST 4
#define WORD_BELOW 8

struct secret {
    struct secret *next;
    size_t len;
    char text[];
};

static struct secret *_Atomic secrets[256]; /* by first byte, newest first */
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

static struct secret *redact_secrets_like(char first) {
    return atomic_load(&secrets[(unsigned char)first]);
}

static bool redact_is_known(struct slice wanted) {
    for (const struct secret *one = redact_secrets_like(wanted.data[0]); one; one = one->next) {
        if (slice_equal((struct slice){one->text, one->len}, wanted)) {
            return true;
        }
    }
    return false;
}

void redact_add(struct slice secret) {
    if (secret.len < SHORTEST || memchr(secret.data, 0, secret.len)) {
        return;
    }
    pthread_mutex_lock(&adding);
    if (!redact_is_known(secret)) {
        struct secret *one = xcalloc(1, sizeof *one + secret.len + 1);
        one->len = secret.len;
        memcpy(one->text, secret.data, secret.len);
        one->next = redact_secrets_like(secret.data[0]);
        atomic_store(&secrets[(unsigned char)secret.data[0]], one);
    }
    pthread_mutex_unlock(&adding);
}

/* ---- URLs ------------------------------------------------------------------------------------ */

static void redact_add_unescaped(struct slice text) {
    struct buffer plain = {0};
    for (size_t i = 0; i < text.len; i++) {
        int byte = text.data[i] == '%' && i + 2 < text.len ? hex_byte(text.data + i + 1) : -1;
        char c = byte > 0 ? (char)byte : text.data[i];
        i += byte > 0 ? 2 : 0;
        buffer_append(&plain, &c, 1);
    }
    redact_add(buffer_slice(&plain));
    buffer_free(&plain);
}

static void redact_add_password(struct slice password) {
    redact_add(password);
    redact_add_unescaped(password);
    for (size_t from = 0, i = 0; i <= password.len; i++) {
        if (i == password.len || strchr("@/?#:%", password.data[i])) {
            redact_add((struct slice){password.data + from, i - from});
            from = i + 1;
        }
    }
}

/* The password between the first ':' of the authority and the last '@'. */
static struct slice redact_authority_password(const char *url) {
    const char *authority = strstr(url, "://");
    const char *end = authority ? strrchr(authority, '@') : NULL;
    const char *colon = end ? strchr(authority + 3, ':') : NULL;
    return colon && colon < end ? (struct slice){colon + 1, (size_t)(end - colon - 1)}
                                : (struct slice){NULL, 0};
}

/* The keyword with which libpq would read the text at `at`, any of its bytes percent-encoded, and
 * the `=` with the blanks around it: the bytes up to the value; 0: another text. */
static size_t redact_password_key(const char *at) {
    const char *key = at;
    for (const char *want = "password"; *want; want++) {
        int byte = *key == '%' && key[1] && key[2] ? hex_byte(key + 1) : -1;
        if ((byte > 0 ? byte : *key) != *want) {
            return 0;
        }
        key += byte > 0 ? 3 : 1;
    }
    key += strspn(key, " \t");
    return *key == '=' ? (size_t)(key + 1 + strspn(key + 1, " \t") - at) : 0;
}

/* A value of key=value words: a quoted one ends at a quote that no backslash precedes. */
static struct slice redact_password_value(const char *at) {
    size_t len = 0;
    if (*at != '\'') {
        return (struct slice){at, strcspn(at, " &")};
    }
    for (at++; at[len] && at[len] != '\''; len++) {
        len += at[len] == '\\' && at[len + 1];
    }
    return (struct slice){at, len};
}

/* The next password of the URL or key=value words from `at` on; data NULL: no more. */
static struct slice redact_next_password(const char *url, const char *at) {
    struct slice password = {NULL, 0};
    if (at == url) {
        password = redact_authority_password(url);
    }
    for (; !password.data && *at; at++) {
        size_t key = redact_password_key(at);
        password = key > 0 ? redact_password_value(at + key) : password;
    }
    return password;
}

void redact_add_url(const char *url) {
    struct slice password = redact_next_password(url, url);
    while (password.data) {
        redact_add_password(password);
        password = redact_next_password(url, password.data + password.len);
    }
}

void redact_append_url(struct buffer *out, const char *url) {
    struct slice password = redact_next_password(url, url);
    const char *from = url;
    while (password.data) {
        buffer_append(out, from, (size_t)(password.data - from));
        buffer_append_text(out, "***");
        from = password.data + password.len;
        password = redact_next_password(url, from);
    }
    buffer_append_text(out, from);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static bool redact_in_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

static bool redact_stands_at(const char *secret, size_t len, struct slice text, size_t at) {
    if (len > text.len - at || memcmp(text.data + at, secret, len) != 0) {
        return false;
    }
    bool joined = (at > 0 && redact_in_word(text.data[at - 1])) ||
                  (at + len < text.len && redact_in_word(text.data[at + len]));
    return len >= WORD_BELOW || !joined;
}

/* The length of the longest secret at that offset; 0: none. */
static size_t redact_secret_at(struct slice text, size_t at) {
    size_t longest = 0;
    for (const struct secret *one = redact_secrets_like(text.data[at]); one; one = one->next) {
        if (one->len > longest && redact_stands_at(one->text, one->len, text, at)) {
            longest = one->len;
        }
    }
    return longest;
}

void redact_append(struct buffer *out, struct slice text) {
    size_t from = 0;
    for (size_t at = 0; at < text.len;) {
        size_t len = redact_secret_at(text, at);
        if (len > 0) {
            buffer_append(out, text.data + from, at - from);
            buffer_append_text(out, "***");
            from = at + len;
        }
        at += len > 0 ? len : 1;
    }
    if (text.len > from) {
        buffer_append(out, text.data + from, text.len - from);
    }
}

void redact_text(char *text) {
    struct buffer clean = {0};
    size_t len = strlen(text);
    redact_append(&clean, (struct slice){text, len});
    if (clean.len <= len) { /* *** is shorter than every secret */
        if (clean.len > 0) {
            memcpy(text, clean.data, clean.len);
        }
        text[clean.len] = '\0';
    }
    buffer_free(&clean);
}
