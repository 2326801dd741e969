"""The Streamlit console. It knows only the front door: ``hishamos.open``, records, errors and charts."""
