-- What 0.2.0 changes in the tables of 0.1.0 (sql/tables.sql). Functions and views are made anew around it.
DROP TABLE courier.user_object;
