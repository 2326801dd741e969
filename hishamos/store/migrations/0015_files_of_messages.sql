-- Files that went with a message, as JSON: they are given to the agent again as long as it remembers the message.
alter table conversation_messages add column files text;
