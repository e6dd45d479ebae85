"""What the command lines share."""

from nted_step.command_line import split_revision


def test_a_revision_is_what_follows_the_last_at(tmp_path):
    assert split_revision("user/name@v2") == ("user/name", "v2") and split_revision("user/name") == ("user/name", None)
    (tmp_path / "a@b").mkdir()
    assert split_revision(str(tmp_path / "a@b")) == (str(tmp_path / "a@b"), None)
