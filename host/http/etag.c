#include "etag.h"

static void etag_cut(struct slice *text, size_t len) {
    text->data += len;
    text->len -= len;
}

static void etag_skip(struct slice *text, const char *blanks) {
    while (text->len > 0 && text->data[0] && strchr(blanks, text->data[0])) {
        etag_cut(text, 1);
    }
}

/* The length of the quoted tag that the text begins with; 0: none. */
static size_t etag_opaque_len(struct slice text) {
    for (size_t i = 1; i < text.len && text.data[0] == '"'; i++) {
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
    etag_skip(&list, " \t");
    if (list.len > 0 && list.data[0] == '*') {
        etag_cut(&list, 1);
        etag_skip(&list, " \t");
        return list.len == 0;
    }
    while (list.len > 0) {
        etag_skip(&list, " \t,");
        if (list.len > 2 && memcmp(list.data, "W/", 2) == 0) {
            etag_cut(&list, 2);
        }
        size_t len = etag_opaque_len(list);
        if (len > 0 && slice_equal((struct slice){list.data, len}, slice_of(etag))) {
            return true;
        }
        etag_cut(&list, len);
        etag_skip(&list, " \t");
        if (len == 0 || (list.len > 0 && list.data[0] != ',')) {
            return false;
        }
    }
    return false;
}
