#include "bundle_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/timed_work.h"
#include "base/clock.h"
#include "base/regular_file.h"
#include "base/xalloc.h"

#define DEADLINE_MS 15000 /* of the whole read; then a mount hangs */
#define AGREE_MS 10000    /* for two equal reads */
#define QUIET_MS 250      /* without a change: more than a copy needs from file to file */
#define FILE_MAX_BYTES (1024UL * 1024)
#define FILES_MAX 5000
#define DEPTH_MAX 8 /* of nested folders: a link to a parent never ends */

/* ---- one read ------------------------------------------------------------------------------ */

struct walk {
    struct bundle *bundle;
    const char *root;   /* for messages */
    const char *ending; /* ".lua" */
    const char *beside; /* one more file in the root, named with its ending; NULL: none */
    int64_t changed_us; /* Unix time of the newest change of a file or folder */
    struct err *err;
};

/* An open folder; "handlers", or "": the root. */
struct level {
    int fd;
    const char *folder;
    int depth;
};

static bool bundle_disk_read_folder(struct walk *walk, const struct level *level);

static bool bundle_disk_ends_with(const char *name, const char *ending) {
    size_t len = strlen(name), end = strlen(ending);
    return len > end && strcmp(name + len - end, ending) == 0;
}

static void bundle_disk_note_change(struct walk *walk, const struct stat *status) {
    int64_t changed_us = (int64_t)status->st_ctim.tv_sec * 1000000 + status->st_ctim.tv_nsec / 1000;
    walk->changed_us = changed_us > walk->changed_us ? changed_us : walk->changed_us;
}

/* `require` finds these names, and metrics have them as labels. */
static bool bundle_disk_check_name(const struct walk *walk, const char *path, const char *name) {
    size_t len = strlen(name) - strlen(walk->ending);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (good >= len) {
        return true;
    }
    if (name[good] == '.') {
        return err_set(walk->err, ERR_INPUT,
                       "%s: \"%.*s\" has a dot in its name, like a copy or backup: move it out of "
                       "the folder, or rename it with a-z, 0-9, _ and -",
                       path, (int)len, name);
    }
    return err_set(walk->err, ERR_INPUT,
                   "%s: the name \"%.*s\" is not allowed: rename the file, with a-z, 0-9, _ and - "
                   "only",
                   path, (int)len, name);
}

/* name: the path below the root. */
static bool bundle_disk_is_beside(const struct walk *walk, const char *name) {
    return walk->beside && strcmp(name, walk->beside) == 0;
}

static bool bundle_disk_read_file(struct walk *walk, const struct level *level, const char *entry,
                                  const char *name) {
    char path[4096];
    struct buffer text = {0};
    bool beside = bundle_disk_is_beside(walk, name);
    size_t len = strlen(name) - (beside ? 0 : strlen(walk->ending));
    snprintf(path, sizeof path, "%s/%s", walk->root, name);
    bool ok = (beside || bundle_disk_check_name(walk, path, entry)) &&
              (walk->bundle->count < FILES_MAX ||
               err_set(walk->err, ERR_INPUT, "%s: there are more than %d files: check scripts.root",
                       path, FILES_MAX)) &&
              regular_file_read(level->fd, entry, path, FILE_MAX_BYTES, &text, walk->err);
    if (ok) {
        bundle_append(walk->bundle, path, xstrndup(name, len), &text);
    } else {
        buffer_free(&text);
    }
    return ok;
}

static bool bundle_disk_read_below(struct walk *walk, const struct level *level, const char *entry,
                                   const char *name) {
    struct level below = {.folder = name, .depth = level->depth + 1};
    if (below.depth > DEPTH_MAX) {
        return err_set(walk->err, ERR_INPUT,
                       "%s/%s: more than %d nested folders: remove a link to a parent folder",
                       walk->root, name, DEPTH_MAX);
    }
    below.fd = openat(level->fd, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (below.fd < 0) {
        return err_set(walk->err, ERR_INPUT, "%s/%s cannot be read: %s", walk->root, name,
                       strerror(errno));
    }
    bool ok = bundle_disk_read_folder(walk, &below);
    close(below.fd);
    return ok;
}

/* Names that begin with a dot belong to editors or the system. */
static bool bundle_disk_read_entry(struct walk *walk, const struct level *level,
                                   const char *entry) {
    char name[1024];
    struct stat status;
    if (entry[0] == '.') {
        return true;
    }
    snprintf(name, sizeof name, "%s%s%s", level->folder, level->folder[0] ? "/" : "", entry);
    bool wanted = bundle_disk_ends_with(entry, walk->ending) || bundle_disk_is_beside(walk, name);
    bool there = fstatat(level->fd, entry, &status, 0) == 0;
    if (there) {
        bundle_disk_note_change(walk, &status);
    }
    if (there && S_ISDIR(status.st_mode) && !wanted) {
        return bundle_disk_read_below(walk, level, entry, name);
    }
    return !wanted || bundle_disk_read_file(walk, level, entry, name);
}

/* With a descriptor of its own: every read begins at the first entry. */
static bool bundle_disk_read_folder(struct walk *walk, const struct level *level) {
    struct stat status;
    int fd = openat(level->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir || fstat(fd, &status) != 0) {
        err_set(walk->err, ERR_INPUT, "%s/%s cannot be read: %s", walk->root, level->folder,
                strerror(errno));
        if (dir) {
            closedir(dir);
        } else if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    bundle_disk_note_change(walk, &status);
    bool ok = true;
    struct dirent *entry;
    while (ok && (entry = readdir(dir))) {
        ok = bundle_disk_read_entry(walk, level, entry->d_name);
    }
    closedir(dir);
    return ok;
}

/* ---- folders ------------------------------------------------------------------------------- */

struct roots {
    const struct bundle_folders *names;
    int scripts, queries; /* descriptors; -1: not open */
};

/* Length of the folder that both paths share, maybe all of both. */
static size_t bundle_disk_shared_folder_len(const char *one, const char *other) {
    size_t shared = 0, i = 0;
    for (; one[i] && one[i] == other[i]; i++) {
        shared = one[i] == '/' ? i + 1 : shared;
    }
    bool ends = (!one[i] || one[i] == '/') && (!other[i] || other[i] == '/');
    return ends ? i : shared;
}

/* The rest of the path, relative to that folder. */
static const char *bundle_disk_rest(const char *path, size_t shared) {
    return path + shared + (shared > 0 ? strspn(path + shared, "/") : 0);
}

static int bundle_disk_open_folder(int at, const char *below, const char *path, struct err *err) {
    int fd = openat(at, below[0] ? below : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        err_set(err, ERR_INPUT, "%s cannot be read: %s", path, strerror(errno));
    }
    return fd;
}

/* The shared parent is opened once: if it is a link that is replaced, both folders are of one
 * release. */
static bool bundle_disk_open_roots(struct roots *roots, struct err *err) {
    const char *scripts = roots->names->scripts, *queries = roots->names->queries;
    size_t shared = queries ? bundle_disk_shared_folder_len(scripts, queries) : 0;
    int at = AT_FDCWD;
    if (shared > 0) {
        char parent[4096];
        snprintf(parent, sizeof parent, "%.*s", (int)shared, scripts);
        at = bundle_disk_open_folder(AT_FDCWD, parent, parent, err);
        if (at < 0) {
            return false;
        }
    }
    roots->scripts = bundle_disk_open_folder(at, bundle_disk_rest(scripts, shared), scripts, err);
    if (roots->scripts >= 0 && queries) {
        roots->queries =
            bundle_disk_open_folder(at, bundle_disk_rest(queries, shared), queries, err);
    }
    if (at != AT_FDCWD) {
        close(at);
    }
    return roots->scripts >= 0 && (!queries || roots->queries >= 0);
}

static void bundle_disk_close_roots(struct roots *roots) {
    if (roots->scripts >= 0) {
        close(roots->scripts);
    }
    if (roots->queries >= 0) {
        close(roots->queries);
    }
    roots->scripts = roots->queries = -1;
}

static bool bundle_disk_read_queries(struct walk *walk, const struct roots *roots) {
    struct level root = {roots->queries, "", 0};
    walk->root = roots->names->queries;
    walk->ending = ".sql";
    walk->beside = NULL;
    return bundle_disk_read_below(walk, &root, "queries", "queries");
}

static bool bundle_disk_read_all(const struct roots *roots, struct bundle *bundle,
                                 int64_t *changed_us, struct err *err) {
    struct walk walk = {bundle, roots->names->scripts, ".lua", BUNDLE_API, 0, err};
    bool ok = bundle_disk_read_folder(&walk, &(struct level){roots->scripts, "", 0}) &&
              (roots->queries < 0 || bundle_disk_read_queries(&walk, roots));
    *changed_us = walk.changed_us;
    bundle_finish(bundle);
    return ok;
}

/* ---- two equal reads ----------------------------------------------------------------------- */

/* Waits until the newest change is QUIET_MS old. Does not wait if the clock is behind the file
 * system's. */
static void bundle_disk_wait_until_quiet(int64_t changed_us) {
    int64_t age_us = clock_wall_us() - changed_us;
    if (age_us >= 0 && age_us < QUIET_MS * 1000LL) {
        poll(NULL, 0, QUIET_MS - (int)(age_us / 1000) + 1);
    }
}

/* Reads the open folders twice. True: both reads agree, and bundle and err have the result. An
 * error counts only if both reads have it. */
static bool bundle_disk_agree(const struct roots *roots, struct bundle *bundle, struct err *err) {
    struct bundle again = {0};
    struct err first = {0}, second = {0};
    int64_t changed_us, changed_again_us;
    bool ok = bundle_disk_read_all(roots, bundle, &changed_us, &first);
    if (roots->names->settled) {
        bundle_disk_wait_until_quiet(changed_us);
    }
    bool ok_again = bundle_disk_read_all(roots, &again, &changed_again_us, &second);
    bool same = ok == ok_again && changed_us == changed_again_us &&
                strcmp(bundle->hash, again.hash) == 0 && strcmp(first.text, second.text) == 0;
    *err = first;
    bundle_free(&again);
    return same;
}

static bool bundle_disk_read_until_equal(const struct bundle_folders *folders,
                                         struct bundle *bundle, struct err *err) {
    int64_t deadline_us = clock_monotonic_us() + AGREE_MS * 1000LL;
    do {
        struct roots roots = {folders, -1, -1};
        err_clear(err);
        bool same = !bundle_disk_open_roots(&roots, err) || bundle_disk_agree(&roots, bundle, err);
        bundle_disk_close_roots(&roots);
        if (same && err->kind == ERR_NONE) {
            return true;
        }
        bundle_free(bundle);
        *bundle = (struct bundle){0};
        if (same) {
            return false;
        }
    } while (clock_monotonic_us() < deadline_us);
    return err_set(err, ERR_INPUT,
                   "%s changes while it is read: no two reads within %d s saw the same files; "
                   "replace the folder in one step, for example by a link",
                   folders->scripts, AGREE_MS / 1000);
}

/* ---- aside --------------------------------------------------------------------------------- */

struct disk_job {
    struct bundle_folders folders; /* copies */
    struct bundle bundle;
    struct err err;
    bool ok;
};

static void bundle_disk_run_job(void *context) {
    struct disk_job *job = context;
    job->ok = bundle_disk_read_until_equal(&job->folders, &job->bundle, &job->err);
}

static void bundle_disk_destroy_job(void *context) {
    struct disk_job *job = context;
    bundle_free(&job->bundle);
    free((char *)job->folders.scripts);
    free((char *)job->folders.queries);
    free(job);
}

bool bundle_disk_read(struct bundle *bundle, const struct bundle_folders *folders,
                      struct err *err) {
    static const struct timed_work work = {"reading the scripts", bundle_disk_run_job,
                                           bundle_disk_destroy_job};
    struct disk_job *job = xcalloc(1, sizeof *job);
    job->folders.scripts = xstrdup(folders->scripts);
    job->folders.queries = folders->queries ? xstrdup(folders->queries) : NULL;
    job->folders.settled = folders->settled;
    if (!timed_work_run(&work, job, DEADLINE_MS, err)) {
        return err_wrap(err, "%s", folders->scripts);
    }
    bool ok = job->ok;
    if (ok) {
        *bundle = job->bundle;
        job->bundle = (struct bundle){0};
    } else {
        *err = job->err;
    }
    bundle_disk_destroy_job(job);
    return ok;
}
