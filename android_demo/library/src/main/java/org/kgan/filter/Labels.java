package org.kgan.filter;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** What may be asked of a filter: sets of groups of values, as a card has them. */
public final class Labels {
    /** A question and its answers. */
    public static final class Group {
        /** "hair". */
        public final String name;

        /** The words to choose from: the values, or "yes" and "no" where there is one value alone. */
        public final List<String> answers;

        /** The number of its set: a label answers groups of one set. */
        public final int set;

        final int start; // of its values in the vector
        final List<String> values;

        private Group(String name, List<String> values, int set, int start) {
            this.name = name;
            this.values = values;
            this.set = set;
            this.start = start;
            answers = values.size() > 1 ? values : Collections.unmodifiableList(Arrays.asList("yes", "no"));
        }
    }

    /** All groups, in the order of the vector. */
    public final List<Group> groups;

    /** The names of the sets. */
    public final List<String> sets;

    /** A label may leave out groups of its set. */
    public final boolean optional;

    /** How many numbers a label has: one for each value and, with several sets, one for each set. */
    public final int width;

    private final int classes;

    Labels(JSONObject card) throws JSONException {
        List<Group> groups = new ArrayList<Group>();
        List<String> names = new ArrayList<String>();
        int start = 0;
        JSONArray sets = card.getJSONArray("sets");
        for (int i = 0; i < sets.length(); i++) {
            names.add(sets.getJSONObject(i).getString("name"));
            JSONArray members = sets.getJSONObject(i).getJSONArray("groups");
            for (int j = 0; j < members.length(); j++) {
                JSONObject group = members.getJSONObject(j);
                List<String> values = new ArrayList<String>();
                for (int k = 0; k < group.getJSONArray("values").length(); k++) {
                    values.add(group.getJSONArray("values").getString(k));
                }
                groups.add(new Group(group.getString("name"), Collections.unmodifiableList(values), i, start));
                start += values.size();
            }
        }
        if (groups.isEmpty()) {
            throw new JSONException("labels name no group");
        }
        this.groups = Collections.unmodifiableList(groups);
        this.sets = Collections.unmodifiableList(names);
        optional = card.getBoolean("optional");
        classes = start;
        width = classes + (names.size() > 1 ? names.size() : 0);
    }

    /**
     * The numbers of a label in words, "hair=blonde,eyes=blue", [width].
     *
     * @throws FilterException no such group or answer, groups of two sets, or one that must be named too.
     */
    public float[] vector(String words) throws FilterException {
        Map<Group, String> answers = new LinkedHashMap<Group, String>();
        for (String part : words.split(",", -1)) {
            int equals = part.indexOf('=');
            if (equals < 0) {
                throw wrong("'" + part.trim() + "' is no label: write " + example() + ". There are " + describe() + ".");
            }
            Group group = group(part.substring(0, equals).trim());
            String answer = part.substring(equals + 1).trim();
            if (!group.answers.contains(answer)) {
                throw wrong(group.name + " is never '" + answer + "': it is one of " + listed(group.answers) + ".");
            }
            if (answers.put(group, answer) != null) {
                throw wrong(group.name + " is named twice in '" + words + "'.");
            }
        }
        return vector(answers);
    }

    private float[] vector(Map<Group, String> answers) throws FilterException {
        Group first = answers.keySet().iterator().next();
        float[] vector = new float[width];
        for (Map.Entry<Group, String> each : answers.entrySet()) {
            Group group = each.getKey();
            if (group.set != first.set) {
                throw wrong(first.name + " belongs to " + sets.get(first.set) + " and " + group.name + " to "
                        + sets.get(group.set) + ": name labels of one set at a time.");
            }
            int value = group.values.indexOf(each.getValue());
            if (value >= 0) {
                vector[group.start + value] = 1;
            }
        }
        for (Group group : groups) {
            if (!optional && group.set == first.set && !answers.containsKey(group)) {
                throw wrong(group.name + " must be named too: this filter was trained with a value of every group, as in "
                        + example() + ".");
            }
        }
        if (sets.size() > 1) {
            vector[classes + first.set] = 1;
        }
        return vector;
    }

    private Group group(String name) throws FilterException {
        Group named = null;
        for (Group group : groups) {
            if (name.equals(group.name) || name.equals(sets.get(group.set) + "." + group.name)) {
                if (named != null) {
                    throw wrong("Several sets have " + name + ": write " + sets.get(named.set) + "." + name + " or "
                            + sets.get(group.set) + "." + name + ".");
                }
                named = group;
            }
        }
        if (named == null) {
            throw wrong("There is no label group '" + name + "': there are " + describe() + ".");
        }
        return named;
    }

    /** What a label in words says of a group, null where nothing. */
    public String answer(String words, Group group) {
        for (String part : words.split(",", -1)) {
            int equals = part.indexOf('=');
            String name = equals < 0 ? "" : part.substring(0, equals).trim();
            if (name.equals(sets.get(group.set) + "." + group.name) || name.equals(group.name) && group == first(name)) {
                return part.substring(equals + 1).trim();
            }
        }
        return null;
    }

    /** The label in words with another answer for one group: those of its set keep theirs, those of others go. */
    public String answered(String words, Group changed, String answer) {
        StringBuilder text = new StringBuilder();
        for (Group group : groups) {
            String before = answer(words, group);
            String value = group == changed ? answer : before == null && !optional ? group.answers.get(0) : before;
            if (group.set == changed.set && value != null) {
                text.append(text.length() > 0 ? "," : "").append(sets.get(group.set)).append('.');
                text.append(group.name).append('=').append(value);
            }
        }
        return text.toString();
    }

    private Group first(String name) {
        for (Group group : groups) {
            if (group.name.equals(name)) {
                return group;
            }
        }
        return null;
    }

    /** A label of the first set in words: "hair=black,eyes=blue". */
    public String example() {
        StringBuilder text = new StringBuilder();
        for (Group group : groups) {
            if (group.set == 0) {
                text.append(text.length() > 0 ? "," : "").append(group.name).append('=').append(group.answers.get(0));
            }
        }
        return text.toString();
    }

    private String describe() {
        StringBuilder text = new StringBuilder();
        for (Group group : groups) {
            text.append(text.length() > 0 ? " and " : "").append(group.name);
            text.append(" (").append(listed(group.answers)).append(')');
        }
        return text.toString();
    }

    private static String listed(List<String> words) {
        StringBuilder text = new StringBuilder();
        for (String word : words) {
            text.append(text.length() > 0 ? ", " : "").append(word);
        }
        return text.toString();
    }

    private static FilterException wrong(String sentence) {
        return new FilterException(FilterException.Reason.LABEL, sentence);
    }
}
