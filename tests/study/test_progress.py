"""Progress lines."""

from lib.study.progress import counter


def test_the_line_overwrites_itself_until_the_end(capsys):
    report = counter("films")
    report(2, 3)
    report(3, 3)
    assert capsys.readouterr().out == "2 of 3 films\r3 of 3 films\n"


def test_long_work_is_reported_in_twenty_steps(capsys):
    report = counter("films")
    for done in range(1, 1051):
        report(done, 1050)
    lines = capsys.readouterr().out.split("\r")
    assert len(lines) == 21 and lines[0] == "52 of 1050 films"
    assert lines[-1] == "1050 of 1050 films\n"
