#include "etag.h"

static size_t etag_blank_len(struct slice text, const char *blanks) {
    size_t len = 0;
    while (len < text.len && text.data[len] && strchr(blanks, text.data[len])) {
        len++;
    }
    return len;
}

static void etag_skip(struct slice *text, size_t len) {
    text->data += len;
    text->len -= len;
}

/* The length of an entity tag without W/ at the text's begin, with its quotes; 0: there is none. */
static size_t etag_opaque_len(struct slice text) {
    if (text.len < 2 || text.data[0] != '"') {
        return 0;
    }
    for (size_t i = 1; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"') {
            return i + 1;
        }
        if (c <= 0x20 || c == 0x7F) {
            return 0;
        }
    }
    return 0;
}

bool etag_listed(struct slice list, const char *etag) {
    etag_skip(&list, etag_blank_len(list, " \t"));
    if (list.len > 0 && list.data[0] == '*') {
        etag_skip(&list, 1);
        return etag_blank_len(list, " \t") == list.len;
    }
    while (list.len > 0) {
        etag_skip(&list, etag_blank_len(list, " \t,"));
        if (list.len > 2 && memcmp(list.data, "W/", 2) == 0) {
            etag_skip(&list, 2);
        }
        size_t len = etag_opaque_len(list);
        if (len == 0) {
            return false;
        }
        if (slice_equal((struct slice){list.data, len}, slice_of(etag))) {
            return true;
        }
        etag_skip(&list, len);
        etag_skip(&list, etag_blank_len(list, " \t"));
        if (list.len > 0 && list.data[0] != ',') {
            return false;
        }
    }
    return false;
}
