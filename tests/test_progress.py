"""Progress lines."""

from lib.progress import counter


def test_the_line_overwrites_itself_until_the_end(capsys):
    report = counter("films")
    report(2, 3)
    report(3, 3)
    assert capsys.readouterr().out == "2 of 3 films\r3 of 3 films\n"
