/* reaper: frees what is no longer used, on a thread of its own, so that neither who used it last
 * nor who replaced it waits for that. */
#ifndef AGG_HOST_BASE_REAPER_H
#define AGG_HOST_BASE_REAPER_H

struct reaper;

/* NULL: the thread could not be started. */
struct reaper *reaper_create(void);
/* The thread calls destroy(thing) soon. Any thread. */
void reaper_give(struct reaper *reaper, void (*destroy)(void *thing), void *thing);
/* What was given is destroyed before it returns. */
void reaper_destroy(struct reaper *reaper);

#endif
