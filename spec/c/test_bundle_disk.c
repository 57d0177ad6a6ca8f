/* Scripts on disk are read as one consistent set of regular files, or refused. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/regular_file.h"
#include "scripts.h"

#define HANDLER                                                                                    \
    "return { topics = { 'a' }, fields = {}, time = 'event_timestamp', handle = function() end }"
#define ROUTE                                                                                      \
    "return { path = '/', endpoint = 'r', auth = false, handle = function() return { status = "    \
    "200, body = '{}' } end }"

static struct scripts scripts;

static const char *in_folder(const char *name) {
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", scripts.folder, name);
    return path[turn];
}

static void begin(void) {
    scripts_begin(&scripts);
    scripts_write(&scripts, "handlers/h.lua", HANDLER);
    scripts_write(&scripts, "routes/r.lua", ROUTE);
}

/* "" where the set is taken; otherwise the error. */
static const char *load(void) {
    static struct err err;
    err_clear(&err);
    struct script_generation *generation = script_generation_load(&scripts.config, 1, &err);
    script_generation_unref(generation);
    CHECK((generation != NULL) == (err.text[0] == '\0'));
    return err.text;
}

static void write_bytes(const char *name, const char *bytes, size_t len) {
    int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(write(fd, bytes, len) == (ssize_t)len);
    close(fd);
}

static void a_path_that_is_not_a_regular_file_is_named_and_not_read(void) {
    begin();
    CHECK_TEXT(load(), "");
    CHECK(mkfifo(in_folder("lib/pipe.lua"), 0600) == 0);
    CHECK_HAS(load(), "lib/pipe.lua is a FIFO: it must be a regular file");
    unlink(in_folder("lib/pipe.lua"));
    scripts_make_folder(&scripts, "lib/sub.lua");
    CHECK_HAS(load(), "lib/sub.lua is a folder: it must be a regular file");
    rmdir(in_folder("lib/sub.lua"));
    CHECK(symlink("/dev/zero", in_folder("lib/zero.lua")) == 0);
    CHECK_HAS(load(), "lib/zero.lua is a device: it must be a regular file");
    unlink(in_folder("lib/zero.lua"));
    CHECK(symlink("nowhere", in_folder("lib/lost.lua")) == 0);
    CHECK_HAS(load(), "lib/lost.lua is a broken link");
    unlink(in_folder("lib/lost.lua"));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", in_folder("lib/sock.lua"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK_HAS(load(), "lib/sock.lua is a socket: it must be a regular file");
    close(fd);
    scripts_end(&scripts);
}

static void a_link_to_a_parent_folder_is_refused(void) {
    begin();
    CHECK(symlink("..", in_folder("lib/up")) == 0);
    CHECK_HAS(load(), "remove a link to a parent folder");
    scripts_end(&scripts);
}

static void backup_files_get_advice_and_editors_files_are_ignored(void) {
    begin();
    CHECK(symlink("user@host.1", in_folder("handlers/.#h.lua")) == 0); /* as Emacs locks */
    scripts_write(&scripts, "handlers/h.lua~", "no Lua");
    CHECK_TEXT(load(), "");
    scripts_write(&scripts, "handlers/h.bak.lua", HANDLER);
    CHECK_HAS(load(), "\"h.bak\" has a dot in its name, like a copy or backup");
    unlink(in_folder("handlers/h.bak.lua"));
    scripts_write(&scripts, "handlers/h copy.lua", HANDLER);
    CHECK_HAS(load(), "the name \"h copy\" is not allowed");
    unlink(in_folder("handlers/h copy.lua"));
    scripts_write(&scripts, "queries/Big.sql", "SELECT 1");
    CHECK_HAS(load(), "the name \"Big\" is not allowed");
    scripts_end(&scripts);
}

static void a_nul_byte_and_a_byte_order_mark_are_refused_with_their_file(void) {
    begin();
    write_bytes("queries/q.sql", "SELECT 1\nWHERE\0 false", 21);
    CHECK_HAS(load(), "queries/q.sql:2: a NUL byte at offset 14");
    write_bytes("queries/q.sql", "\xEF\xBB\xBFSELECT 1", 11);
    CHECK_HAS(load(), "queries/q.sql begins with a byte-order mark");
    unlink(in_folder("queries/q.sql"));
    write_bytes("lib/l.lua", "\xEF\xBB\xBFreturn {}", 12);
    CHECK_HAS(load(), "lib/l.lua begins with a byte-order mark");
    scripts_end(&scripts);
}

static void a_set_without_handlers_or_routes_is_refused(void) {
    struct err err = {0};
    begin();
    struct script_generation *generation = script_generation_load_service(&scripts.config, 1, &err);
    CHECK_TEXT(err.text, "");
    script_generation_unref(generation);
    unlink(in_folder("routes/r.lua"));
    CHECK(!script_generation_load_service(&scripts.config, 1, &err));
    CHECK_HAS(err.text, "/routes declares no route");
    unlink(in_folder("handlers/h.lua"));
    CHECK(!script_generation_load_service(&scripts.config, 1, &err));
    CHECK_HAS(err.text, "/handlers declares no handler");
    scripts_end(&scripts);
}

/* ---- at once ------------------------------------------------------------------------------- */

static _Atomic bool done;

/* `current` leads to one release and the other, as fast as it can. */
static void *swap_links(void *context) {
    (void)context;
    for (int turn = 0; !atomic_load(&done); turn = !turn) {
        unlink(in_folder("next"));
        CHECK(symlink(turn ? "one" : "two", in_folder("next")) == 0);
        char current[128];
        snprintf(current, sizeof current, "%s/current", scripts.folder);
        CHECK(rename(in_folder("next"), current) == 0);
    }
    return NULL;
}

static void make_release(const char *name) {
    static const char *const folders[] = {"", "/handlers", "/routes", "/lib", "/queries"};
    char path[64];
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s%s", name, folders[i]);
        scripts_make_folder(&scripts, path);
    }
    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "%s/lib/l%d.lua", name, i);
        scripts_write(&scripts, path, "return '%s'", name);
        snprintf(path, sizeof path, "%s/queries/q%d.sql", name, i);
        scripts_write(&scripts, path, "SELECT '%s'", name);
    }
    snprintf(path, sizeof path, "%s/view.lua", name);
    scripts_write(&scripts, path,
                  "return { { name = 't', key = { { 'id', 'text' } }, groups = { { name = 'g', "
                  "rule = 'latest', columns = { { 'c', 'text' } } } } } }");
}

static void check_one_release(const struct script_generation *generation) {
    struct script_source source;
    int one = 0, two = 0;
    for (size_t i = 0; script_generation_source(generation, i, &source); i++) {
        one += slice_contains(source.text, slice_of("'one'"));
        two += slice_contains(source.text, slice_of("'two'"));
    }
    CHECK((one == 16 && two == 0) || (one == 0 && two == 16));
}

static void each_set_is_of_one_release_while_a_link_is_swapped(void) {
    pthread_t swapper;
    char root[64], sql[64];
    scripts_begin(&scripts);
    make_release("one");
    make_release("two");
    CHECK(symlink("one", in_folder("current")) == 0);
    snprintf(root, sizeof root, "%s/current", scripts.folder);
    snprintf(sql, sizeof sql, "%s/current/", scripts.folder);
    scripts.config.scripts.root = root;
    scripts.config.scripts.sql = sql;
    atomic_store(&done, false);
    pthread_create(&swapper, NULL, swap_links, NULL);
    for (int i = 0; i < 200; i++) {
        struct err err = {0};
        struct script_generation *generation = script_generation_load(&scripts.config, 1, &err);
        CHECK_TEXT(err.text, "");
        if (generation) {
            check_one_release(generation);
        }
        script_generation_unref(generation);
    }
    atomic_store(&done, true);
    pthread_join(swapper, NULL);
    scripts_end(&scripts);
}

#define PARTS 10
#define COPY_PAUSE_US 60000
#define QUIET_US 200000 /* less than QUIET_MS of bundle_disk.c */

/* A copy with a pause behind each file; *context: the longest time from file to file. */
static void *copy_slowly(void *context) {
    int64_t *longest_us = context, written_us = clock_monotonic_us();
    for (int i = 0; i < PARTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "lib/part%d.lua", i);
        scripts_write(&scripts, name, "return {}");
        int64_t now_us = clock_monotonic_us();
        *longest_us = now_us - written_us > *longest_us ? now_us - written_us : *longest_us;
        written_us = now_us;
        usleep(COPY_PAUSE_US);
    }
    return NULL;
}

/* How many parts a reload during a copy reads; the copier's longest pause. */
static int load_beside_a_copy(int64_t *longest_us) {
    pthread_t copier;
    struct err err = {0};
    struct script_source source;
    int parts = 0;
    begin();
    *longest_us = 0;
    CHECK(pthread_create(&copier, NULL, copy_slowly, longest_us) == 0);
    WAIT_UNTIL(access(in_folder("lib/part2.lua"), F_OK) == 0);
    struct script_generation *generation = script_generation_load_service(&scripts.config, 1, &err);
    CHECK_TEXT(err.text, "");
    for (size_t i = 0; generation && script_generation_source(generation, i, &source); i++) {
        parts += strncmp(source.name, "lib/part", 8) == 0;
    }
    script_generation_unref(generation);
    pthread_join(copier, NULL);
    scripts_end(&scripts);
    return parts;
}

/* Says something only where the machine did not hold the copier up for longer than a reload waits.
 */
static void a_reload_waits_for_the_end_of_a_copy(void) {
    for (int attempt = 0; attempt < 10; attempt++) {
        int64_t longest_us;
        int parts = load_beside_a_copy(&longest_us);
        if (longest_us < QUIET_US) {
            CHECK_INT(parts, PARTS);
            return;
        }
    }
    TEST_SKIP("the machine is too busy for a copy with short pauses");
}

static const struct test_case cases[] = {
    {"a path that is not a regular file is named and not read",
     a_path_that_is_not_a_regular_file_is_named_and_not_read},
    {"a link to a parent folder is refused", a_link_to_a_parent_folder_is_refused},
    {"backup files get advice and editors' files are ignored",
     backup_files_get_advice_and_editors_files_are_ignored},
    {"a nul byte and a byte order mark are refused with their file",
     a_nul_byte_and_a_byte_order_mark_are_refused_with_their_file},
    {"a set without handlers or routes is refused", a_set_without_handlers_or_routes_is_refused},
    {"each set is of one release while a link is swapped",
     each_set_is_of_one_release_while_a_link_is_swapped},
    {"a reload waits for the end of a copy", a_reload_waits_for_the_end_of_a_copy},
};

TEST_MAIN(cases)
