/* The life of one job between two workers, a reaper, a store, and a server whose answers may get lost.

   Claim, heartbeat, reap, complete and fail are atomic: each is one script; so is the put of the manifest. Between any
   two of them a worker may crash, freeze (a zombie goes on much later with what it knew), or lose the answer; the lease
   may run out whenever no beat came. Model time has two notions only, "the lease ran out" and "the grace is over"; the
   reaper's grace is longer than the time in which a worker that lives beats or claims again, which is what the process
   `Clock` enforces: it lets the grace pass only if every worker that is alive and holds the job had its chance to.

   A claim whose answer got lost is repeated with the same nonce. At the last crash that a job may have, it is queued
   for a look: its claim asks the store for the manifest, and nothing is made any more.

   Compiled with one of these the model is wrong on purpose, and spin has to find out:
       -DNO_FENCE   a completion is accepted from whoever asks while the job runs
       -DNO_STATE   and even afterwards
       -DNO_BEATS   the reaper's second look compares the fence only
       -DONE_PHASE  the reaper takes what it sees expired
       -DNO_REAPER  nobody takes anything
       -DNO_NONCE   a repeated claim is not known again
       -DNO_LOOK    the last crash buries the job */

#define WORKERS 2
#define MAX_CLAIMS 4   /* then no more crashes: the claims to come end well */
#define MAX_FREEZES 2  /* or a job could be frozen for ever, between any two of its steps */
#define MAX_CRASHES 2  /* then it is only looked for */

mtype = { queued, running, succeeded, dead };

mtype state = queued;
byte fence = 0;             /* of the job, rising */
byte beats = 0;             /* since the claim */
byte crashes = 0;           /* that the queue counted */
bool look_only = false;
bool expired = false;       /* the lease's deadline lies behind us */
bool published = false;     /* the manifest is there */
bool in_time = false;       /* and was put by whoever held the lease */
bool unseen = false;        /* whoever looked for it died too */
byte accepted = 0;          /* completions the server accepted: by different attempts */
byte accepted_fence = 0;
byte wrong_requeues = 0;    /* jobs taken from a worker that lives and was not frozen */
byte claims = 0;
byte freezes = 0;
byte deaths = 0;            /* crashes and freezes that there were */

byte holder_fence[WORKERS] = 0;   /* what each worker thinks it holds; 0: nothing */
byte unheard[WORKERS] = 0;        /* what it was given without hearing of it; 0: nothing */
bool looks[WORKERS] = false;      /* it shall only look */
bool done[WORKERS] = false;       /* it published, or looked */
bool found[WORKERS] = false;      /* what it saw when it looked */
bool frozen[WORKERS] = false;
bool owes_beat[WORKERS] = false;  /* lives, was given the lease, and has not been heard of since the lease ran out */

#define ended (state == succeeded || state == dead)

#if defined(NO_FENCE)
#define mine(f) (state == running)
#elif defined(NO_STATE)
#define mine(f) true
#else
#define mine(f) (state == running && fence == f)
#endif

#ifdef NO_BEATS
#define UNMOVED true
#else
#define UNMOVED (beats == seen_beats)
#endif

#ifdef NO_NONCE
#define KNOWN_AGAIN(w) false
#else
#define KNOWN_AGAIN(w) (state == running && fence == unheard[w])
#endif

inline forget(w) {
    holder_fence[w] = 0;
    unheard[w] = 0;
    looks[w] = false;
    done[w] = false;
    found[w] = false;
    owes_beat[w] = false
}

/* The answer to a claim may get lost: the server then knows a lease that its worker does not know of. */
inline claim(w) {
    atomic {
        state == queued && claims < MAX_CLAIMS && holder_fence[w] == 0 && unheard[w] == 0 ->
        claims++;
        fence++;
        beats = 0;
        expired = false;
        state = running;
        if
        :: holder_fence[w] = fence; looks[w] = look_only
        :: claims < MAX_CLAIMS -> unheard[w] = fence
        fi
    }
}

/* Under the same nonce: the same lease, if it is the worker's still; else there is nothing to know of. */
inline claim_again(w) {
    atomic {
        unheard[w] != 0 && !frozen[w] ->
        if
        :: KNOWN_AGAIN(w) ->
            holder_fence[w] = fence;
            looks[w] = look_only;
            beats++;
            expired = false
        :: else
        fi;
        unheard[w] = 0;
        owes_beat[w] = false
    }
}

inline heartbeat(w) {
    atomic {
        if
        :: mine(holder_fence[w]) -> beats++; expired = false; owes_beat[w] = false
        :: else -> forget(w)             /* LOST: stop at once */
        fi
    }
}

/* Once for ever: whoever finds a manifest there takes it for his own. */
inline publish(w) {
    atomic {
        if
        :: looks[w] -> found[w] = published
        :: else ->
            in_time = in_time || (state == running && fence == holder_fence[w]);
            published = true;
            found[w] = true
        fi;
        done[w] = true
    }
}

/* A lost answer is asked for again: the same fence is accepted again, and counts once. Where a look found nothing, the
   attempt fails for good instead. */
inline complete(w) {
    atomic {
        if
        :: !found[w] ->
            if
            :: mine(holder_fence[w]) -> state = dead
            :: else
            fi;
            forget(w)
        :: found[w] && state == succeeded && fence == holder_fence[w] -> forget(w)
        :: else ->
            if
            :: mine(holder_fence[w]) ->
                state = succeeded;
                accepted++;
                accepted_fence = holder_fence[w];
                if
                :: forget(w)
                :: skip                  /* the answer is lost: ask again */
                fi
            :: else -> forget(w)
            fi
        fi
    }
}

proctype Worker(byte w) {
    do
    :: claim(w)
    :: claim_again(w)
    :: holder_fence[w] != 0 && !frozen[w] && beats < 2 -> heartbeat(w)
    :: holder_fence[w] != 0 && !frozen[w] && !done[w] -> publish(w)
    :: holder_fence[w] != 0 && !frozen[w] && done[w] -> complete(w)
    /* A crash: the worker that takes its place knows nothing. Not for ever, or nothing could be promised. */
    :: atomic {
        (holder_fence[w] != 0 || unheard[w] != 0) && claims < MAX_CLAIMS ->
        deaths++;
        forget(w);
        frozen[w] = false
    }
    /* A zombie: frozen for as long as it likes, then back with an old fence. */
    :: atomic {
        holder_fence[w] != 0 && !frozen[w] && claims < MAX_CLAIMS && freezes < MAX_FREEZES ->
        freezes++;
        deaths++;
        frozen[w] = true;
        owes_beat[w] = false
    }
    :: atomic { frozen[w] -> frozen[w] = false }
    :: atomic { ended && holder_fence[w] == 0 && unheard[w] == 0 -> break }
    od
}

/* The lease runs out: no beat came in time, or the server's clock jumped, which is the same to the server. */
proctype Clock() {
    byte w;
    do
    :: atomic {
        state == running && !expired ->
        expired = true;
        w = 0;
        do
        :: w < WORKERS -> owes_beat[w] = ((holder_fence[w] == fence || unheard[w] == fence) && !frozen[w]); w++
        :: else -> break
        od
    }
    :: ended -> break
    od
}

/* What a crash comes to. */
inline give_back() {
    crashes++;
    if
    :: look_only -> state = dead; unseen = true
    :: !look_only && crashes < MAX_CRASHES -> state = queued
    :: else ->
#ifdef NO_LOOK
        state = dead
#else
        look_only = true;
        state = queued
#endif
    fi
}

/* The first look remembers (fence, beats). The second comes after the grace, in which whoever lives has beaten. */
proctype Reaper() {
    byte seen_fence = 0;
    byte seen_beats = 0;
    byte w;
    do
    :: atomic {
        state == running && expired ->
        seen_fence = fence;
        seen_beats = beats
    }
#ifdef ONE_PHASE
       ;
#else
       /* The grace: over when nobody who lives owes a beat, or when the job moved on. */
       (!owes_beat[0] && !owes_beat[1]) || state != running || fence != seen_fence;
#endif
       atomic {
        if
        :: state == running && expired && fence == seen_fence && UNMOVED ->
            w = 0;
            do
            :: w < WORKERS ->
                if
                :: (holder_fence[w] == fence || unheard[w] == fence) && owes_beat[w] -> wrong_requeues++
                :: else
                fi;
                w++
            :: else -> break
            od;
            give_back()
        :: else
        fi
       }
    :: ended -> break
    od
}

init {
    atomic {
        run Worker(0);
        run Worker(1);
        run Clock();
#ifndef NO_REAPER
        run Reaper()
#endif
    }
}

ltl one_completion { [] (accepted <= 1) }
ltl by_the_greatest_fence { [] (accepted == 0 || accepted_fence == fence) }
ltl no_live_job_is_taken { [] (wrong_requeues == 0) }
ltl a_lost_answer_is_no_crash { [] (crashes <= deaths) }
/* Unless whoever looked died as well; and what a zombie puts after all had looked is nobody's. */
ltl what_is_published_succeeds { [] (state == dead -> (!in_time || unseen)) }
/* Under weak fairness the one acknowledged job ends: it is never lost. */
ltl every_job_ends { <> ended }
