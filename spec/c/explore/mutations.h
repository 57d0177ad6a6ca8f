/* mutations: guards that are taken out, one at a time, to show that the search would miss them.
 * MUTATION(name, whether it stands alone, what is taken out). Without a guard that is COVERED
 * another one still prevents every outdated answer: the search finds nothing. */
MUTATION(NO_LOOK_AT_RECENT, ALONE,
         "the store script does not look for its tags in recent invalidations")
MUTATION(NO_LOOK_AT_NUMBER, COVERED, "the store script does not refuse when the number went back")
MUTATION(NO_FLOOR_AT_STORE, COVERED, "the store script does not look at the floor")
MUTATION(NO_GUARD_AT_STORE, ALONE, "the store script stores always")
MUTATION(NO_FLOOR_AT_READ, ALONE, "a reader does not compare what it finds in Redis with the floor")
MUTATION(NO_DELETION, ALONE, "an announcement deletes nothing in Redis")
MUTATION(NO_RECENT, COVERED, "an announcement is not noted among the recent ones")
MUTATION(NO_MESSAGE, ALONE, "an announcement is not published")
MUTATION(NO_MESSAGE_OF_ALL, ALONE, "forgetting everything is not published")
MUTATION(NO_FLOOR_AFTER_LOSS, COVERED, "an announcement to a Redis without memory sets no floor")
MUTATION(NO_CLOCK, ALONE, "the number counts from one instead of following the clock")
MUTATION(NO_GREETING, ALONE, "a subscriber does not ask whether the server is another run")
MUTATION(NO_RUN, ALONE, "the greeting does not tell one run of the server from another")
MUTATION(NO_BYPASS, ALONE, "a lost subscription does not bypass the process level")
MUTATION(NO_RESET, ALONE, "the process level is not emptied when the subscription changes")
MUTATION(NO_DOUBT, ALONE, "a lost announcement raises no doubt")
MUTATION(NO_OWN_INVALIDATION, ALONE, "a commit does not invalidate in its own process")
MUTATION(NO_HEARING, ALONE, "an announcement that arrives invalidates nothing")
MUTATION(NO_STALENESS, COVERED,
         "an answer is kept though one of its tags was invalidated meanwhile")
MUTATION(ANNOUNCED_BEFORE_COMMIT, ALONE, "the announcement goes out before the commit")
MUTATION(NO_GAP, ALONE, "an announcement is noted though one before it is missing")
MUTATION(NO_CHAIN, ALONE, "counts are noted though the announcement was refused")
MUTATION(NO_AUDIT, ALONE, "auditors compare nothing")
MUTATION(NO_DOUBT_OF_AUDITOR, COVERED, "an auditor that does not know raises no doubt")
MUTATION(NO_PENDING, ALONE,
         "a process takes from Redis what it has outdated, and has not announced yet")
