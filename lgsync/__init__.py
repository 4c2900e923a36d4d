"""lgsync: the blocking client for LangGraph servers."""
