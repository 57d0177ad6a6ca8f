#include "regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES 65536

static const char *regular_file_kind(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return NULL;
    case S_IFDIR:
        return "a folder";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    default:
        return "a device";
    }
}

static bool regular_file_check_kind(const struct stat *status, const char *path, struct err *err) {
    const char *kind = regular_file_kind(status->st_mode);
    return !kind || err_set(err, ERR_INPUT, "%s is %s: it must be a regular file", path, kind);
}

static bool regular_file_fail_to_open(int folder_fd, const char *name, const char *path,
                                      struct err *err) {
    int failure = errno;
    struct stat status;
    bool is_link =
        fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
    return err_set(err, ERR_INPUT, is_link ? "%s is a broken link: %s" : "%s cannot be read: %s",
                   path, strerror(failure));
}

/* Checks the kind before it opens the file, too: opening a device may have effects. */
static int regular_file_open(int folder_fd, const char *name, const char *path, struct err *err) {
    struct stat status;
    if (fstatat(folder_fd, name, &status, 0) != 0) {
        regular_file_fail_to_open(folder_fd, name, path, err);
        return -1;
    }
    if (!regular_file_check_kind(&status, path, err)) {
        return -1;
    }
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        regular_file_fail_to_open(folder_fd, name, path, err);
        return -1;
    }
    if (fstat(fd, &status) != 0 || !regular_file_check_kind(&status, path, err)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool regular_file_read_all(int fd, const char *path, size_t max_bytes, struct buffer *text,
                                  struct err *err) {
    size_t begin = text->len;
    ssize_t got;
    buffer_append(text, "", 0);
    do {
        got = read(fd, buffer_reserve(text, CHUNK_BYTES), CHUNK_BYTES);
        text->len += got > 0 ? (size_t)got : 0;
    } while ((got > 0 && text->len - begin <= max_bytes) || (got < 0 && errno == EINTR));
    if (got < 0) {
        return err_set(err, ERR_INPUT, "%s cannot be read: %s", path, strerror(errno));
    }
    buffer_append(text, "", 0);
    return text->len - begin <= max_bytes ||
           err_set(err, ERR_INPUT, "%s is larger than the limit of %zu bytes", path, max_bytes);
}

static int regular_file_line_at(struct slice text, size_t offset) {
    int line = 1;
    for (size_t i = 0; i < offset; i++) {
        line += text.data[i] == '\n';
    }
    return line;
}

static bool regular_file_check_text(struct slice text, const char *path, struct err *err) {
    static const char mark[] = "\xEF\xBB\xBF";
    if (text.len >= 3 && memcmp(text.data, mark, 3) == 0) {
        return err_set(err, ERR_INPUT,
                       "%s begins with a byte-order mark: save it as UTF-8 without one", path);
    }
    const char *nul = memchr(text.data, '\0', text.len);
    if (nul) {
        size_t offset = (size_t)(nul - text.data);
        return err_set(err, ERR_INPUT,
                       "%s:%d: a NUL byte at offset %zu would end the text: save the file as UTF-8",
                       path, regular_file_line_at(text, offset), offset);
    }
    return true;
}

bool regular_file_read(int folder_fd, const char *name, const char *path, size_t max_bytes,
                       struct buffer *text, struct err *err) {
    size_t begin = text->len;
    int fd = regular_file_open(folder_fd, name, path, err);
    if (fd < 0) {
        return false;
    }
    bool ok =
        regular_file_read_all(fd, path, max_bytes, text, err) &&
        regular_file_check_text((struct slice){text->data + begin, text->len - begin}, path, err);
    close(fd);
    return ok;
}
