"""A broken variant of one vote a height: one vote a round. `sim check` finds the fork."""

from __future__ import annotations

from one_vote import OneVote


class Forgetful(OneVote):
    """A replica that forgets its vote when the next leader's time has come, to let the height go on."""

    def _start(self, round_: int) -> None:
        self.voted = False
        super()._start(round_)
