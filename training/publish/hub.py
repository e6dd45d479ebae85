"""Uploading a weights folder to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from nted_step.weights import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME, WeightsError


def push(folder: Path, repository: str) -> str:
    """Commit a weights folder's files to the model repository ``user/name``, created if it does not exist; returns the commit's URL.

    All files go into one commit: ``config.json`` holds the hash of the weights, so no revision may have one without the
    other. Raises WeightsError with a one-line message; the folder is left unchanged.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    api, remedy = HfApi(), f"the weights are in {folder}"
    files = [CommitOperationAdd(name, folder / name) for name in (WEIGHTS_NAME, CONFIG_NAME, CARD_NAME)]
    try:
        api.create_repo(repository, repo_type="model", exist_ok=True)
        return api.create_commit(repository, files, commit_message="Weights", repo_type="model").commit_url
    except HFValidationError:
        raise WeightsError(f"{repository}: not a repository name of the form user/name; {remedy}") from None
    except HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            reason = "the Hub wants a token that may write there: `hf auth login`, or the variable HF_TOKEN"
        else:
            reason = f"the Hub answers {error.response.status_code}"
        raise WeightsError(f"{repository}: not pushed, {reason}; {remedy}") from None
    except OfflineModeIsEnabled:
        raise WeightsError(f"{repository}: not pushed, because HF_HUB_OFFLINE is set; {remedy}") from None
    except Exception as error:  # the client passes on what its transport raises, which differs between its versions
        raise WeightsError(f"{repository}: not pushed, the Hub cannot be reached ({_first_line(error)}); {remedy}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
