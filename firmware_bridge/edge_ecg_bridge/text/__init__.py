"""Boards that send text: one line a sample, as an Arduino with an AD8232 does.

    512                     the ECG alone
    1234567,512             time and ECG
    1234567,512,0           time, ECG and lead-off flag (0, 1 or !)
    !                       an electrode is off: a line in place of a sample

Lines end in CR, LF or both; columns are parted by comma, semicolon, tab or spaces. The time is the board's
``millis()`` or ``micros()``. What is no line of numbers (a boot banner, a line cut in half) is skipped and
counted.

Units. Whole, unsigned numbers are ADC counts: mV = (count / 2^bits - 1/2) * vref * 1000 / gain, with 10 bits,
5 V and the 1100 V/V of the AD8232 board unless told otherwise. Numbers with a sign or a decimal point are
millivolts.

Rate. From the time column; or as told; or counted over 4 s of arrival after 1 s of settling, which is good to
1 % and is then kept for the stream. A count within 1.5 % of a usual rate is taken for it. Losses show in the
time column only; without one, a pause of more than a second is all that can be seen of them.
"""

from .lines import Line, LineSplitter, parse_line
from .session import TextSession, TextSettings

__all__ = ["Line", "LineSplitter", "TextSession", "TextSettings", "parse_line"]
