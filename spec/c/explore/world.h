/* world: all that one state of the explored system consists of. It lies in one region of memory at
 * a fixed address, so that a state is kept, brought back and recognised as bytes: world.c.
 *
 * A state is: the database (a version per tag), one Redis, the connections to it with what is on
 * the way, and two processes. What a process does is the real code of host/cache and
 * host/pipeline/announcer.c on coroutines ("actors"); it runs from one place where it waits for
 * somebody else to the next, and nothing comes in between. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "cache/cache.h"
#include "pipeline/pipeline.h"

#define PROCESSES 2
#define READERS 2 /* request threads of a process */
#define TAGS 2
#define KEYS 2                 /* key 0 depends on tag 0, key 1 on both */
#define CONNECTIONS_AN_ACTOR 3 /* with those that it has given up, but Redis has not read out */
#define WIRE_BYTES 2048
#define STACK_BYTES (12 * 1024)
#define HEAP_BYTES (16 * 1024)
#define ROWS 40
#define NO_CONNECTION (-1)

enum { SUBSCRIBER, WRITER, AUDITOR, FIRST_READER, ACTORS_A_PROCESS = FIRST_READER + READERS };
#define ACTORS (PROCESSES * ACTORS_A_PROCESS)

/* How old a response may be: the least version of each tag that it must show. */
struct versions {
    uint8_t of[TAGS];
};
void versions_raise(struct versions *versions, const struct versions *to);

/* ---- Redis --------------------------------------------------------------------------------- */

struct row { /* of a string (no member), a set or a sorted set; rows are in order */
    char key[44], member[88];
    uint8_t key_len, member_len;
    double score; /* of a member */
};

struct memory {
    int count;
    struct row rows[ROWS];
};

struct server {
    bool up;
    bool refuses;   /* to write: its memory is full, say */
    int64_t time_s; /* its clock */
    int run;        /* of its program */
    struct memory memory;
    struct memory saved; /* what a restart may bring back */
    bool has_saved;
    bool was_restored;
    struct versions announced; /* to it, ever */
};

/* What is on the way, oldest first. */
struct wire {
    int len;
    char bytes[WIRE_BYTES];
};

struct connection {
    bool used;
    bool open;           /* the client holds it */
    bool lost;           /* the server has closed it */
    bool subscribed;     /* messages come along with the replies */
    bool silent;         /* what the server sends is lost, unnoticed */
    int actor;           /* whose */
    int executed, asked; /* commands under way */
    struct wire in, out;
};

/* ---- processes ----------------------------------------------------------------------------- */

enum waiting {               /* what an actor waits for */
               WAIT_NOTHING, /* it is not there */
               WAIT_TURN,    /* its turn; `label` names its next action */
               WAIT_REPLIES, /* to all that was sent over its connection */
               WAIT_MESSAGE, /* over its connection */
               WAIT_RETRY,   /* a while, before it connects again */
               WAIT_FLIGHT,  /* a condition */
               WAIT_REQUEST, /* a reader: to be asked */
               WAIT_WORK,    /* a writer */
               WAIT_LOOK,    /* an auditor: until it compares again */
               WAIT_COMMIT,  /* a writer: the reply to COMMIT */
               WAIT_DATABASE /* to be there */
};

struct actor {
    enum waiting wait;
    const char *label;
    int connection;
    int signal;           /* why it was woken */
    const void *waits_on; /* WAIT_FLIGHT */
    int locks;            /* that it holds */
    int64_t wakes_at_us;  /* WAIT_MESSAGE: if nothing comes */
    int64_t clock_us;     /* how far its clock is ahead of that of its process */
    void (*body)(int actor);
    enum waiting in_the_end; /* its final wait */
    char *stack_pointer;     /* while it waits */
};

struct request {
    bool busy;
    bool waited; /* for Redis */
    int key;
    struct versions must; /* that it has to be answered with */
};

struct process {
    bool alive;
    bool must_load;      /* the offsets */
    bool audit_doubtful; /* the auditor does not know whether all was announced */
    int64_t clock_us;    /* how far its clock is ahead of the beginning */
    int announcements;   /* that it has sent: their names */
    struct cache *cache;
    struct pipeline *pipeline;
    struct {
        void *(*body)(void *argument);
        void *argument;
    } threads[FIRST_READER]; /* that the code under test has started */
    struct versions told;    /* the cache, of commits */
    struct versions hears;   /* counts as told when the subscriber waits again */
    struct versions ended;   /* its own commits whose end it knows */
    struct versions loaded;  /* present when it read the offsets */
    struct versions audited; /* present when the auditor looked */
    int commit_tags;         /* of the commit under way, a bit each */
    uint64_t tags[TAGS];     /* the same, for the cache */
    struct request requests[READERS];
};

#define CONNECTIONS (ACTORS * CONNECTIONS_AN_ACTOR)

/* ---- what may still happen ----------------------------------------------------------------- */

enum budget {
    MAY_REQUEST_A, /* requests of a process */
    MAY_REQUEST_B,
    MAY_COMMIT_A, /* commits of a process */
    MAY_COMMIT_B,
    MAY_LOSE,       /* a connection */
    MAY_SILENCE,    /* a subscription: messages do not arrive */
    MAY_TIME_OUT,   /* an exchange with Redis, that is executed later */
    MAY_KILL,       /* a process, which is started again */
    MAY_TAKE_OVER,  /* the other process' partition */
    MAY_BE_UNKNOWN, /* the end of a transaction */
    MAY_REFUSE,     /* Redis, writes */
    MAY_CRASH,      /* Redis, and be there again with its memory */
    MAY_WIPE,       /* … without it */
    MAY_SAVE,       /* Redis saves its memory */
    MAY_RESTORE,    /* … and crashes, and restarts with the saved memory */
    MAY_EVICT,      /* a key */
    MAY_FLUSH,      /* everything, while Redis runs on */
    MAY_LOOK,       /* an auditor, though nothing is to be seen */
    MAY_FREEZE,     /* a process, for two seconds */
    BUDGETS
};

struct world {
    struct server server;
    struct versions database;
    bool database_up;
    int owner[PROCESSES];      /* of the partitions; process p begins with partition p */
    int64_t counts[PROCESSES]; /* commits of the partitions */
    int last_tags[PROCESSES];  /* of the last commit of each, a bit each */
    int starts;                /* of processes */
    struct process processes[PROCESSES];
    struct actor actors[ACTORS];
    int left[BUDGETS];
    struct connection connections[CONNECTIONS]; /* the last: its wires are kept by their length */
};

extern struct world *const world;

/* ---- world.c ------------------------------------------------------------------------------- */

void world_make(void);
void world_clear(void); /* nothing is there */

struct snapshot {
    char *bytes;
    size_t len, capacity;
};
void world_save(struct snapshot *snapshot);
void world_restore(const struct snapshot *snapshot);
uint64_t world_hash(void);

char *world_stack(int actor);
ucontext_t *world_context(int actor);
/* malloc and free of the code under test go to a heap of the actor that runs, or of the process
 * that is being started; -1: to the C library. */
void world_use_heap(int heap);
int world_heap(void); /* in use */
void world_free_heaps(int process);
#define START_HEAP(process) (ACTORS + (process))
#define HEAPS (ACTORS + PROCESSES)

/* ---- actors.c ------------------------------------------------------------------------------ */

void actor_start(int actor, void (*body)(int actor), enum waiting in_the_end);
/* Runs it until it waits again. */
void actor_wake(int actor, int signal);
/* For the actor that runs: waits, and returns the signal. */
int actor_wait(enum waiting wait, const char *label);
void actor_remove(int actor);
extern int actor_running; /* -1: none */
static inline int process_of(int actor) {
    return actor / ACTORS_A_PROCESS;
}
#define SIGNAL_GO 0
#define SIGNAL_LATE 1 /* its time is over */

/* ---- redis_server.c ------------------------------------------------------------------------ */

void server_make(void);            /* the scripts' interpreter */
void server_forget_scripts(void);  /* for another mutation */
int server_connect(int actor);     /* NO_CONNECTION: it is not there */
void server_close(int connection); /* by the client: commands already sent are executed */
void server_lose(int connection);  /* for both: commands not executed are lost */
bool server_can_execute(int connection);
bool server_knows_counts(void);      /* all that was committed was announced */
void server_execute(int connection); /* the next command */
void server_crash(void);
void server_save(void);
void server_evict(int row);
/* What the next command is, for people. */
const char *server_next_command(int connection);

/* ---- redis_client.c ------------------------------------------------------------------------ */

/* Scripts are known by number on the way: their texts. */
int script_number(const char *text, size_t len);
const char *script_text(int number, size_t *len);
bool client_has_all_replies(int connection);
void client_be_patient(struct redis *redis); /* rests until the search lets it retry */
void client_stop_resting(struct redis *redis);
void client_be_late(struct redis *redis);            /* commands under way time out */
bool client_can_progress(const struct redis *redis); /* an exchange has ended, or is lost */

/* ---- process.c ----------------------------------------------------------------------------- */

void process_start(int process);
void process_kill(int process);
extern int process_starting; /* -1: none */
void process_ask(int reader, int key);
extern struct versions process_answer; /* the last */
void process_note_restored(void);      /* Redis was restored to its saved memory */
void process_note_waited(void);        /* the actor that runs has, for Redis' replies */
bool writer_has_progress(int process); /* without any time passing */
bool writer_rests(int process);

enum { WORK_COMMIT, WORK_PROGRESS, WORK_REST_OVER, WORK_LOAD }; /* signals to a writer */
enum { COMMIT_ENDED, COMMIT_UNKNOWN };

/* In place of bindings/pg.c, for the auditor. */
#define VIEW 4711 /* the number of the database */
extern const char *const partition_names[PROCESSES];
extern bool database_tells_workers; /* what the last commits touched; auditors it always tells */
#define START_US 1000000000LL       /* of every clock */

/* ---- violations ---------------------------------------------------------------------------- */

/* The first one of the state is kept. */
void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern char violation_text[256]; /* "": none */

/* ---- mutations: a guard taken out, at a seam of the code under test ------------------------- */

enum mutation {
    NO_MUTATION,
#define MUTATION(name, alone, text) name,
#include "mutations.h"
#undef MUTATION
    MUTATIONS
};
extern enum mutation mutation;
extern bool mutation_applied;       /* its guard was come across */
bool mutation_is(enum mutation of); /* at the guard */
const char *mutation_name(enum mutation of, const char **text);
bool mutation_is_covered(enum mutation of); /* nothing is found without its guard */
/* A copy of a script, without the guard that is taken out. For free(). */
char *mutation_of_script(struct slice script, size_t *len);
