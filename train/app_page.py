"""What the app shows. Streamlit runs this file from top to bottom whenever a person has done something."""

import sys

import streamlit as st

from imageshards.train.app_asking import show_asking
from imageshards.train.app_training import show_training
from imageshards.train.uploads import Limits


def show(run: str, megabytes: int) -> None:
    """Draws the page."""
    st.set_page_config(page_title="Teach a computer your pictures · imageshards", layout="centered")
    st.title("Teach a computer to tell pictures apart")
    st.caption("imageshards, on this machine alone: pictures stay here, and are gone when the app ends.")
    train, ask = st.tabs(["Train", "Ask"], default="Ask" if run else "Train")
    with train:
        show_training(Limits(megabytes=4 * megabytes))
    with ask:
        show_asking(st.session_state.get("run", run))


if __name__ == "__main__":
    show(sys.argv[1], int(sys.argv[2]))
