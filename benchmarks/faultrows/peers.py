"""What other tools made of the same rows: measured once, as they take hours.

Measured in November 2026 with the tools' own defaults, on the same stores and by the same proxy;
the versions are in ``VERSIONS``. The results are those of ``judging``, and:

========  ========================================================================================
result    meaning
========  ========================================================================================
r         a failure was reported, by no exit code of its own
… U       and parts of an incomplete upload were left
… T       and a temporary file was left
kept      nothing was deleted, or the old file was kept
========  ========================================================================================
"""

from __future__ import annotations

VERSIONS = {
    "aws": "aws-cli 1.46.2",
    "boto3": "a loop over s3transfer",
    "rclone": "1.75.2",
    "s3cmd": "2.4.0",
    "s5cmd": "2.3.0",
}

_TABLE = """
U1    OK      OK      OK      OK      OK
U2    OK      OK      OK      OK      OK
U3    OK      OK      OK      OK      OK
U4    OK      OK      OK      OK      OK
U5    OK      OK      OK      r2·U    OK
U6    r1      r1      H·U     r2·U    H
U7    r1      r1      OK      r74     r1
U8    r1      r1      OK      r2·U    r1
U9    X       X       OK      X       X
U10   X       X       OK      OK      X
U10b  r1      r1      OK      -       r1
U11   r1      r1      r1      r11     r1
U12   r1      r1      OK      X       r1
U13   r1      r       r130    r130·U  r·U
U14   X       -       X       X       X
D1    OK      OK      OK      OK      OK
D2    r1      r1      r5      r2      r1
D3    X       X       r1      X       X
D4    X       X       r1      X       X
D4b   X       X       r1      X       X
D5    OK      OK      OK      r2      OK
D6    r2      X       OK      X       X
D7    X       X       X       X       X
D8    r1      r1      r1      r74     r1·T
D9    r1      r1      r1      r74     r1
D10   kept    kept    kept    kept    kept
D11   r1      r1      H       r70     r1
D12   r1      r1      r1      r1      r1
D13   r1      r1      OK      OK      X
D14   OK·T    OK·T    OK      OK·T    OK·T
D15   X       X       OK      OK      X
D16   r1      r1      H       H       r1
D17   OK      OK      H       H       H
S1    kept    -       kept    kept    X
S2    kept    -       kept    kept    X
"""
RESULTS = {
    number: [result.replace("·", " ") for result in results]
    for number, *results in map(str.split, _TABLE.strip().splitlines())
}
