"""The safety explorer: a protocol's machines under adversarial schedules, and what must hold whatever happens.

A schedule is a list of steps: this letter arrives, that timer runs out, this execution ends, that replica restarts.
There is no clock. Whoever makes the schedule (`walk`) may deliver letters in any order, twice, late or never, let
timers run out at the worst moment, split the machines at chosen rounds, choose leaders and answers; Byzantine replicas
are run as *twins* (Bano et al. 2021), two machines with one name that meet different halves of the network, or as the
scenario's own attackers. Everything else is the protocol's own machine, as the events engine runs it.

*Invariants* must hold always (`invariants`); *sometimes* properties must have happened in some schedule, or the search
has shown nothing (`sometimes`). A schedule that breaks an invariant is shrunk to the few steps that do it (`shrink`).

Words: `chain`, what is explored; `circumstances`, what a schedule fixes before it begins; `driver`, the machines and
all that is pending; `walk`, who chooses the next step; `explore`, many schedules; `story`, one in words; `saved`, one
in a file.
"""
