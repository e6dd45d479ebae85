"""What goes to the browser as HTML."""

import pytest

from pose_editor.studio.presentation import notice


@pytest.mark.parametrize("kind", ["info", "error"])
def test_a_notice_is_text_whatever_stands_in_it(kind):
    shown = notice("<img src=x onerror=alert(1)> & \"me'.png", kind)
    assert "<img" not in shown and "&lt;img src=x onerror=alert(1)&gt; &amp; &quot;me&#x27;.png" in shown
    assert shown.startswith(f'<p class="notice {kind}"') and shown.endswith("</p>") and shown.count("<") == 2
